"""Pictures of a study: its charts side by side. Matplotlib draws to files only; no window is opened."""

import io
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from farzi.files import write_bytes_atomic
from research.studies import Chart

COLOURS = (
    *("#c2410c", "#1d4ed8", "#0f766e", "#7c3aed", "#64748b", "#b45309", "#be185d", "#4d7c0f"),
    *("#fdba74", "#93c5fd", "#5eead4", "#c4b5fd", "#111827", "#f9a8d4"),
)
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
INK = "#111827"
APART = 0.08
"""Smallest distance of two labelled points, as a share of the axis."""


def plot_charts(charts: Sequence[Chart], path: str | Path) -> None:
    """Draw one to four charts into a PNG.

    Raises:
        OSError: the disk is full or the file cannot be written.
    """
    wide = [1.0 if chart.kind != "bars" else max(1.0, _words(chart) / 7) for chart in charts]
    columns = len(charts) if len(charts) < 4 else 2
    rows = math.ceil(len(charts) / columns)
    width = max(sum(wide[k::columns]) / rows for k in range(columns)) * columns
    figure = Figure(figsize=(4.9 * max(width, 1.25), 3.7 * rows), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    ratios = wide if rows == 1 else None
    axes = figure.subplots(rows, columns, squeeze=False, width_ratios=ratios)
    for place, chart in enumerate(charts):
        draw(axes[place // columns][place % columns], chart)
    for place in range(len(charts), rows * columns):
        axes[place // columns][place % columns].axis("off")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_bytes_atomic(path, buffer.getvalue())


def draw(axes: Axes, chart: Chart) -> None:
    """Draw a chart on a pair of axes."""
    if chart.level is not None and not math.isnan(chart.level):
        axes.axhline(chart.level, color=INK, linewidth=0.9, linestyle="--", zorder=3, label=chart.level_name)
    if chart.kind == "bars":
        _bars(axes, chart)
    else:
        _points(axes, chart)
    axes.set_title(chart.title, fontsize=9.5)
    slanted = chart.kind == "bars" and _slanted(_names(chart))
    if not slanted:  # slanted words need the room and are self-explanatory
        axes.set_xlabel(chart.x, fontsize=8.5)
    axes.set_ylabel(chart.y, fontsize=8.5)
    axes.tick_params(labelsize=7.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylim(*_limits(chart))
    if len(chart.curves) > 1 or chart.level is not None:
        below = -0.36 if slanted else -0.2
        axes.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, below), ncols=3)


def _points(axes: Axes, chart: Chart) -> None:
    joined = "-" if chart.kind == "lines" else "none"
    for curve, colour, mark in zip(chart.curves, _round(COLOURS, chart), _round(MARKS, chart)):
        points = sorted((one for one in curve.points if not isinstance(one.x, str)), key=lambda one: one.x)
        x, y = [float(one.x) for one in points], [one.mean for one in points]
        below = [max(0.0, one.mean - one.low) for one in points]
        above = [max(0.0, one.high - one.mean) for one in points]
        axes.errorbar(
            x, y, yerr=[below, above], color=colour, marker=mark, markersize=4, linestyle=joined,
            linewidth=1.3, elinewidth=0.9, capsize=2, label=curve.name,
        )  # fmt: skip
    if chart.log:
        axes.set_xscale("log")
    places = sorted(
        {float(one.x) for curve in chart.curves for one in curve.points if not isinstance(one.x, str)}
    )
    if chart.kind == "lines" and _apart(places, chart.log):
        axes.xaxis.set_major_locator(FixedLocator(places))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1000 else f"{value:.3g}")
        )


def _bars(axes: Axes, chart: Chart) -> None:
    names = _names(chart)
    width = 0.84 / max(1, len(chart.curves))
    for place, (curve, colour) in enumerate(zip(chart.curves, _round(COLOURS, chart))):
        shift = (place - (len(chart.curves) - 1) / 2) * width
        x = [names.index(str(one.x)) + shift for one in curve.points]
        below = [max(0.0, one.mean - one.low) for one in curve.points]
        above = [max(0.0, one.high - one.mean) for one in curve.points]
        axes.bar(x, [one.mean for one in curve.points], width * 0.92, color=colour, label=curve.name)
        axes.errorbar(
            x, [one.mean for one in curve.points], yerr=[below, above],
            fmt="none", ecolor=INK, elinewidth=0.9, capsize=2,
        )  # fmt: skip
    long = _slanted(names)
    axes.set_xticks(range(len(names)), names, rotation=35 if long else 0, ha="right" if long else "center")
    axes.margins(x=0.02)


def _limits(chart: Chart) -> tuple[float, float]:
    """The limits of the y axis: around all means and the level; wide intervals must not flatten these."""
    points = [one for curve in chart.curves for one in curve.points]
    means = [one.mean for one in points] + ([] if chart.level is None else [chart.level])
    means = [mean for mean in means if math.isfinite(mean)] or [0.0, 1.0]
    least, most = min(means), max(means)
    room = max(1.5 * (most - least), 0.15 * abs(most), 1e-6)
    lows = [one.low for one in points if math.isfinite(one.low)]
    highs = [one.high for one in points if math.isfinite(one.high)]
    low = max(min([least, *lows]), least - room) - 0.08 * room
    high = min(max([most, *highs]), most + room) + 0.08 * room
    if least >= 0:
        low = 0.0 if chart.kind == "bars" else max(low, 0.0)
    return low, max(high, 0.0) if chart.kind == "bars" else high


def _apart(places: Sequence[float], log: bool) -> bool:
    """Whether labels at these ascending places do not overlap."""
    if log and min(places, default=1.0) <= 0:
        return False
    at = [math.log(place) if log else place for place in places]
    return all(right - left >= APART * (at[-1] - at[0]) for left, right in itertools.pairwise(at))


def _names(chart: Chart) -> list[str]:
    return list(dict.fromkeys(str(one.x) for curve in chart.curves for one in curve.points))


def _slanted(names: Sequence[str]) -> bool:
    """Whether these words do not fit side by side."""
    return max((len(name) for name in names), default=0) * len(names) > 56


def _words(chart: Chart) -> int:
    return len({one.x for curve in chart.curves for one in curve.points}) * max(1, len(chart.curves) // 2)


def _round(values: Sequence[str], chart: Chart) -> list[str]:
    """As many of the values as there are curves, from the beginning again where they run out."""
    return [values[k % len(values)] for k in range(len(chart.curves))]
