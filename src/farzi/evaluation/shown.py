"""What people are shown of the figures: three of the metrics, ratios as per cent, sizes as KiB."""

import math

SHOWN: tuple[str, ...] = ("HR@10", "nDCG@10", "HR@100")
"""The metrics in lines, tables and pictures; results.json and history.jsonl have them all."""


def percent(ratio: float | None) -> str:
    """A ratio to the full data's figure as people read it: `97 %`; a dash where that figure is 0.

    Args:
        ratio: nan, or None as JSON files have it, where it is not defined.
    """
    return "–" if ratio is None or math.isnan(ratio) else f"{100 * ratio:.0f} %"


def kib(size: int) -> str:
    """Bytes as KiB, without the unit: `84`, and `1.9` where a whole number would say too little."""
    return f"{size / 1024:,.0f}" if size >= 10 * 1024 else f"{size / 1024:.1f}"


def shares(relative: dict[str, float] | dict[str, float | None]) -> str:
    """The ratios of the metrics in `SHOWN`, side by side: `HR@10 96 %, nDCG@10 93 %, HR@100 –`."""
    return ", ".join(f"{name} {percent(relative[name])}" for name in SHOWN)
