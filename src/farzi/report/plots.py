"""Pictures of a comparison and of a run. Matplotlib draws to files only; no window is opened."""

import io
import math
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from farzi.evaluation import Comparison
from farzi.files import write_bytes_atomic

SHOWN = ("HR@10", "nDCG@10", "HR@100")
"""The metrics in tables and pictures; results.json has them all."""
COLOURS = {
    "summary": "#c2410c",
    "random": "#94a3b8",
    "head": "#64748b",
    "random, equal bytes": "#cbd5e1",
    "head, equal bytes": "#9ca3af",
}


def plot_comparison(comparison: Comparison, history: list[dict[str, Any]], path: str | Path) -> None:
    """Draw quality beside the controls and, where there is a history, how it came about.

    Args:
        comparison: what was measured.
        history: the lines of history.jsonl.
        path: the picture, a PNG.
    """
    figure = Figure(figsize=(9.6, 3.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    if len(history) > 1:
        left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
        _draw_history(right, history)
    else:
        left = figure.subplots()
    _draw_bars(left, comparison)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_bytes_atomic(path, buffer.getvalue())


def _draw_bars(axes: Axes, comparison: Comparison) -> None:
    entries = [entry for entry in comparison.measured if entry.trained_on != "full"]
    width = 0.8 / len(entries)
    for place, entry in enumerate(entries):
        shares = [comparison.relative(entry.trained_on, metric) for metric in SHOWN]
        means = [100 * share.mean for share in shares]
        spread = [[100 * (s.mean - s.low) for s in shares], [100 * (s.high - s.mean) for s in shares]]
        centres = [k + (place - (len(entries) - 1) / 2) * width for k in range(len(SHOWN))]
        label = f"{entry.trained_on}: {entry.sequences:,} sequences, {entry.bytes / 1024:,.0f} KiB"
        bars = axes.bar(centres, means, width * 0.92, label=label, color=COLOURS[entry.trained_on])
        axes.errorbar(centres, means, yerr=spread, fmt="none", ecolor="#1f2937", elinewidth=0.8, capsize=2)
        if entry.trained_on == "summary":
            axes.bar_label(bars, fmt="%.0f %%", label_type="center", color="white", fontsize=8)
    full = comparison.of("full")
    axes.axhline(100, color="#111827", linewidth=0.9, linestyle="--")
    axes.set_xticks(range(len(SHOWN)), SHOWN)
    axes.set_ylabel("% of the full data's figure")
    axes.set_ylim(0, 150)
    axes.set_yticks(range(0, 121, 20))
    axes.set_title(
        f"Trained from scratch on a summary (full data: {full.bytes / 1024:,.0f} KiB = 100 %)", fontsize=9.5
    )
    axes.legend(fontsize=7, ncols=2, loc="upper center", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_history(axes: Axes, history: list[dict[str, Any]]) -> None:
    steps = [line["outer_step"] for line in history]
    for metric, colour in zip(SHOWN, ("#c2410c", "#0f766e", "#1d4ed8"), strict=True):
        ratios = [line["relative_to_full"][metric] for line in history]  # None where the full data has 0
        shares = [math.nan if ratio is None else 100 * ratio for ratio in ratios]
        axes.plot(steps, shares, color=colour, label=metric)
    axes.axhline(100, color="#111827", linewidth=0.9, linestyle="--")
    axes.set_xlabel("outer steps")
    axes.set_ylabel("validation, % of full data")
    axes.set_title("While it was distilled", fontsize=9.5)
    axes.legend(fontsize=7, frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
