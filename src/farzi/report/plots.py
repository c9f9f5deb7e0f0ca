"""Charts of a comparison and of a run, as PNG files; no window is opened."""

import io
import itertools
import math
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from farzi.evaluation import Comparison, Interval, headlines, kib, metric_of
from farzi.files import write_bytes_atomic

_COLOURS = ("#c2410c", "#a8b5c8", "#64748b", "#7dd3c0", "#0f766e", "#8b5cf6", "#eab308", "#ec4899")
_EQUAL_BYTES = ", equal bytes"
_LINES = ("#c2410c", "#0f766e", "#1d4ed8")
_INK = "#111827"


def plot_comparison(comparison: Comparison, history: list[dict[str, Any]], path: str | Path) -> None:
    """Draw the figures of the summary and the controls and, if there is a history, the validations.

    Args:
        comparison: what was measured.
        history: the lines of history.jsonl.
        path: of the PNG file.
    """
    figure = Figure(figsize=(9.6, 4.0), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    lines = _lines(history)
    if lines and len(history) > 1:
        left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
        _draw_history(right, [line["outer_step"] for line in history], lines)
    else:
        left = figure.subplots()
    _draw_bars(left, comparison)
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside lower left", ncols=3, fontsize=7.5, frameon=False
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_bytes_atomic(path, buffer.getvalue())


def _draw_bars(axes: Axes, comparison: Comparison) -> None:
    """For each metric one bar per kind of training data, with its interval; none if the full data has 0.

    Of a metric that is better when lower, the inverse is drawn: a higher bar is always better.
    """
    names = comparison.headlines
    entries = [result for result in comparison.results if result.trained_on != "full"]
    colours = _colours([entry.trained_on for entry in entries])
    ratios = [[_gain(comparison, entry.trained_on, name) for name in names] for entry in entries]
    top = _top([ratio for row in ratios for ratio in row])
    width = 0.84 / len(entries)
    _frame(axes, f"Test figures by training data (full data: {kib(comparison.result('full').bytes)} KiB)")
    for place, (entry, row) in enumerate(zip(entries, ratios, strict=True)):
        centres = [group + (place - (len(entries) - 1) / 2) * width for group in range(len(names))]
        axes.bar(
            centres,
            [ratio.mean for ratio in row],
            width * 0.92,
            label=f"{entry.trained_on}: {entry.sequences:,} sequences, {kib(entry.bytes)} KiB",
            color=colours[entry.trained_on],
            hatch="////" if entry.trained_on.endswith(_EQUAL_BYTES) else None,
            edgecolor="white",
            linewidth=0,
        )
        for centre, ratio in zip(centres, row, strict=True):
            if not math.isnan(ratio.mean):
                _mark(axes, centre, ratio, top, "bold" if entry.trained_on == "summary" else "normal")
    for group, ratio in enumerate(ratios[0]):
        if math.isnan(ratio.mean):
            axes.text(group, 0.03 * top, "undefined: full data at 0", ha="center", fontsize=7.5)
    axes.set_xticks(range(len(names)), [metric_of(name).of_gain for name in names])
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(0, top)
    axes.tick_params(axis="x", length=0)


def _frame(axes: Axes, title: str) -> None:
    """The title, the axis of shares, and a line at the full data's figure."""
    axes.axhline(100, color=_INK, linewidth=0.9, linestyle="--", zorder=0)
    axes.set_title(title, fontsize=9.5)
    axes.set_ylabel("% of the full data's figure")
    axes.spines[["top", "right"]].set_visible(False)


def _colours(names: list[str]) -> dict[str, str]:
    """A colour for each kind of training data; a control at equal bytes has the colour of the control."""
    plain = {name: name.removesuffix(_EQUAL_BYTES) for name in names}
    colours = dict(zip(dict.fromkeys(plain.values()), itertools.cycle(_COLOURS)))
    return {name: colours[plain[name]] for name in names}


def _gain(comparison: Comparison, trained_on: str, name: str) -> Interval:
    """The ratio to the full data's figure in per cent, inverted if lower is better."""
    mean, low, high = (100 * metric_of(name).gain(ratio) for ratio in comparison.relative(trained_on, name))
    return Interval(mean, min(low, high), max(low, high))


def _mark(axes: Axes, centre: float, ratio: Interval, top: float, weight: str) -> None:
    """The interval of a bar, and its figure above the interval."""
    axes.plot([centre, centre], [ratio.low, ratio.high], color=_INK, linewidth=1)
    axes.annotate(
        f"{ratio.mean:.0f}",
        (centre, min(ratio.high, 0.93 * top)),
        xytext=(0, 2),
        textcoords="offset points",
        ha="center",
        fontsize=7.5,
        fontweight=weight,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.4},
    )


def _top(ratios: list[Interval]) -> float:
    """The end of the axis in per cent: above all intervals, unless a wide one would flatten the bars."""
    defined = [ratio for ratio in ratios if not math.isnan(ratio.mean)]
    tallest = max([100.0, *(ratio.mean for ratio in defined)])
    highest = max([100.0, *(ratio.high for ratio in defined)])
    return 1.12 * min(highest, 1.6 * tallest)


def _lines(history: list[dict[str, Any]]) -> dict[str, list[float]]:
    """The validations' shares of the full data's figures in per cent, without metrics of which that is 0."""
    names = headlines(history[0].get("relative_to_full", {})) if history else ()
    ratios = {name: [line.get("relative_to_full", {}).get(name) for line in history] for name in names}
    return {
        metric_of(name).of_gain: [100 * metric_of(name).gain(ratio) for ratio in values]
        for name, values in ratios.items()
        if all(ratio is not None for ratio in values)
    }


def _draw_history(axes: Axes, steps: list[int], lines: dict[str, list[float]]) -> None:
    _frame(axes, "Validation figures during the distillation")
    for (name, shares), colour in zip(lines.items(), _LINES):
        axes.plot(steps, shares, color=colour, label=name)
    axes.set_xlabel("outer steps")
    # below the axes, so that it hides no curve
    axes.legend(fontsize=7.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3)
