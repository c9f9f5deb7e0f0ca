"""Charts of a comparison, of a run and of a search, as PNG files; no window is opened."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from farzi.evaluation import Comparison, Interval, Result, headlines, kib, metric_of
from farzi.files import write_bytes_atomic
from farzi.tuning import Row, Tuned

_LINES = ("#c2410c", "#0f766e", "#1d4ed8")
INK = "#111827"
COLOURS = {"summary": "#c2410c", "initial summary": "#fdba74"}
TEACHERS, TRAINED, COUNTED = "#0f766e", "#64748b", "#cbd5e1"


def plot_comparison(comparison: Comparison, history: list[dict[str, Any]], path: str | Path) -> None:
    """Draw the figures of all rows and, if there is a history, the validations.

    Args:
        comparison: what was measured.
        history: the lines of history.jsonl.
        path: of the PNG file.
    """
    names, lines = comparison.headlines, validation_shares(history) if len(history) > 1 else {}
    height = 1.5 + 0.24 * len(comparison.results)
    figure = Figure(figsize=(3.2 + 2.2 * len(names) + (3.4 if lines else 0), height), dpi=150)
    figure.set_layout_engine("constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(
        1,
        len(names) + bool(lines),
        width_ratios=[1.0] * len(names) + [1.5] * bool(lines),
        squeeze=False,
    )[0]
    for panel, name in zip(panels, names):
        _draw_bars(panel, comparison, name, labelled=panel is panels[0])
    if lines:
        _draw_history(panels[-1], [line["outer_step"] for line in history], lines)
    figure.suptitle(
        f"Test figures, % of the full data's ({kib(comparison.result('full').bytes)} KiB)", fontsize=9.5
    )
    _save(figure, path)


def plot_search(tuned: Tuned, path: str | Path) -> None:
    """Draw the trials of a search with the best so far, and each setting's values against their figures.

    Args:
        tuned: what the search found.
        path: of the PNG file.
    """
    metric = tuned.metric
    done = [row for row in tuned.trials if row.figure is not None and row.state != "running"]
    names = list(dict.fromkeys(name for row in done for name in row.settings))
    columns = min(4, len(names) + 1)
    lines = -(-(len(names) + 1) // columns)
    figure = Figure(figsize=(2.9 * columns, 2.5 * lines), dpi=150)
    figure.set_layout_engine("constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(lines, columns, squeeze=False).flat)
    numbers, figures = [row.number for row in done], [metric.scaled(row.figure or 0.0) for row in done]
    best = (np.minimum if metric.cost else np.maximum).accumulate(figures)
    panels[0].step(numbers, best, where="post", color=COLOURS["summary"], linewidth=1)
    _draw_trials(panels[0], done, numbers, figures)
    panels[0].set_title(f"{metric.name} {metric.unit} on the summary, by trial", fontsize=9)
    for panel, name in zip(panels[1:], names):
        pairs = [(row, one) for row, one in zip(done, figures) if name in row.settings]
        values: list[Any] = [row.settings[name] for row, _ in pairs]
        if all(isinstance(one, int | float) and not isinstance(one, bool) for one in values):
            if min(values) > 0 and max(values) > 10 * min(values):
                panel.set_xscale("log")
                panel.xaxis.set_minor_formatter(NullFormatter())
            elif all(isinstance(one, int) for one in values):
                panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        else:
            words = sorted({str(one) for one in values})
            panel.set_xticks(range(len(words)), words)
            values = [words.index(str(one)) for one in values]
        _draw_trials(panel, [row for row, _ in pairs], values, [one for _, one in pairs])
        panel.set_title(name, fontsize=9)
    for panel in panels[len(names) + 1 :]:
        panel.set_axis_off()
    _save(figure, path)


def _draw_trials(axes: Axes, rows: Sequence[Row], places: Sequence[float], figures: Sequence[float]) -> None:
    """A point for each trial: those that the pruner stopped are pale, the recipe's own is a square."""
    colours = [COUNTED if row.state == "stopped" else TRAINED for row in rows]
    axes.scatter(places, figures, s=12, c=colours, linewidths=0)
    for row, place, figure in zip(rows, places, figures):
        if row.default:
            axes.scatter([place], [figure], s=26, c=INK, marker="s", zorder=3)
    axes.tick_params(labelsize=7.5)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, path: str | Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_bytes_atomic(path, buffer.getvalue())


def _draw_bars(axes: Axes, comparison: Comparison, name: str, labelled: bool = True) -> None:
    """One bar per row of the comparison, with its interval; none if the full data has 0.

    Of a metric that is better when lower, the inverse is drawn: a longer bar is always better.
    """
    entries = [result for result in comparison.results if result.trained_on != "full"]
    ratios = [_gain(comparison, entry.trained_on, name) for entry in entries]
    top = _top(ratios)
    for place, (entry, ratio) in enumerate(zip(entries, ratios, strict=True)):
        axes.barh(
            place,
            ratio.mean,
            0.8,
            color=_colour(entry),
            hatch="////" if entry.trained_on.endswith("equal bytes") else None,
            edgecolor="white",
            linewidth=0,
        )
        if not math.isnan(ratio.mean):
            _mark(axes, place, ratio, top, "bold" if entry.trained_on == "summary" else "normal")
    if math.isnan(ratios[0].mean):
        axes.text(0.03 * top, 0, "undefined: full data at 0", va="center", fontsize=7.5)
    axes.axvline(100, color=INK, linewidth=0.9, linestyle="--", zorder=0)
    axes.set_title(metric_of(name).of_gain, fontsize=9)
    labels = [f"{entry.trained_on}: {kib(entry.bytes)} KiB" for entry in entries] if labelled else []
    axes.set_yticks(range(len(labels)), labels, fontsize=7.5)
    axes.set_ylim(len(entries) - 0.5, -0.5)
    axes.set_xlim(0, top)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=7.5)
    axes.spines[["top", "right"]].set_visible(False)


def _colour(entry: Result) -> str:
    """By what a row is: the summary, the teachers and their labels, a training, or none."""
    if "teachers" in entry.trained_on:
        return TEACHERS
    return COLOURS.get(entry.trained_on, TRAINED if entry.learning_rate else COUNTED)


def _gain(comparison: Comparison, trained_on: str, name: str) -> Interval:
    """The ratio to the full data's figure in per cent, inverted if lower is better."""
    mean, low, high = (100 * metric_of(name).gain(ratio) for ratio in comparison.relative(trained_on, name))
    return Interval(mean, min(low, high), max(low, high))


def _mark(axes: Axes, place: float, ratio: Interval, top: float, weight: str) -> None:
    """The interval of a bar, and its figure beyond the interval."""
    axes.plot([ratio.low, ratio.high], [place, place], color=INK, linewidth=1)
    axes.annotate(
        f"{ratio.mean:.0f}",
        (min(ratio.high, 0.9 * top), place),
        xytext=(2, 0),
        textcoords="offset points",
        va="center",
        fontsize=7.5,
        fontweight=weight,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.4},
    )


def _top(ratios: list[Interval]) -> float:
    """The end of the axis in per cent: above all intervals, unless a wide one would flatten the bars."""
    defined = [ratio for ratio in ratios if not math.isnan(ratio.mean)]
    tallest = max([100.0, *(ratio.mean for ratio in defined)])
    highest = max([100.0, *(ratio.high for ratio in defined)])
    return 1.15 * min(highest, 1.6 * tallest)


def validation_shares(history: list[dict[str, Any]]) -> dict[str, list[float]]:
    """The validations' shares of the full data's figures in per cent, without metrics of which that is 0."""
    names = headlines(history[0].get("relative_to_full", {})) if history else ()
    ratios = {name: [line.get("relative_to_full", {}).get(name) for line in history] for name in names}
    return {
        metric_of(name).of_gain: [100 * metric_of(name).gain(ratio) for ratio in values]
        for name, values in ratios.items()
        if all(ratio is not None for ratio in values)
    }


def _draw_history(axes: Axes, steps: list[int], lines: dict[str, list[float]]) -> None:
    axes.axhline(100, color=INK, linewidth=0.9, linestyle="--", zorder=0)
    axes.set_title("validation during the distillation", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7.5)
    for (name, shares), colour in zip(lines.items(), _LINES):
        axes.plot(steps, shares, color=colour, label=name)
    axes.set_xlabel("outer steps", fontsize=8)
    # below the axes, so that it hides no curve
    axes.legend(fontsize=7.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3)
