"""What people are shown of the figures: some of the metrics, ratios to the full data's, sizes as KiB."""

from collections.abc import Mapping

from farzi.evaluation.metrics import headlines, metric_of


def kib(size: int) -> str:
    """Bytes as KiB, without the unit: `84`, and `1.9` where a whole number would say too little."""
    return f"{size / 1024:,.0f}" if size >= 10 * 1024 else f"{size / 1024:.1f}"


def shares(relative: Mapping[str, float | None]) -> str:
    """The headline metrics' ratios side by side: `HR@10 96 %, nDCG@10 93 %, HR@100 –`."""
    return ", ".join(f"{name} {metric_of(name).ratio(relative[name])}" for name in headlines(relative))


def headline_figures(figures: Mapping[str, float]) -> str:
    """The headline metrics side by side: `HR@10 11.7 %, nDCG@10 5.8 %, HR@100 54.1 %`."""
    named = [(name, metric_of(name)) for name in headlines(figures)]
    return ", ".join(f"{name} {metric.text(figures[name])} {metric.unit}".rstrip() for name, metric in named)
