"""The frontier: of several compared summaries, what share of the full data's quality each size reaches."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from farzi.errors import FarziError
from farzi.evaluation import headlines, metric_of
from farzi.files import write_bytes_atomic
from farzi.report.plots import COLOURS, INK, TEACHERS, TRAINED

LINES = {
    "summary": ("summary", COLOURS["summary"], "o-", True),
    "initial summary": ("initial summary", "#d97706", "o--", False),
    "random, teachers' labels": ("real windows, soft labels", TEACHERS, "s-", True),
    "random": ("random windows", TRAINED, "^:", True),
}
"""Rows of comparisons that are drawn: name, colour, marker and line, whether the marker is filled."""

SIZES = {
    "events": "events, % of the log's",
    "bytes": "stored bytes, % of the log's",
    "seconds": "seconds of a training, % of the full data's",
}
SUFFIXES = (".png", ".svg")


def frontier_points(folders: Sequence[str | Path]) -> list[dict[str, Any]]:
    """What the comparisons in some folders say, by size: one point for each folder, row and headline metric.

    `events`, `bytes` and `seconds` are ratios to the full data's. So are `mean`, `low` and `high`, a ratio
    of figures and its 95 % interval, inverted where lower is better: above 1 is better than the full data.
    All may be None where the full data have 0.

    Raises:
        FarziError: a folder has no comparison, or the comparisons have other data or other full-data models.
    """
    runs = [(str(folder), *_comparison(Path(folder))) for folder in folders]
    for name, baseline, _ in runs[1:]:
        _check_same(runs[0][0], runs[0][1], name, baseline)
    points = [point for _, _, points in runs for point in points]
    order = {name: place for place, name in enumerate(LINES)}
    return sorted(points, key=lambda point: (order[point["trained_on"]], point["events"] or 0.0))


def _comparison(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the full data of a folder's comparison are and reach, and its points."""
    again = f"run `farzi compare {folder}`"
    try:
        names = ("results.json", "comparison.json", "run.json")
        rows, facts, run = (json.loads((folder / name).read_bytes()) for name in names)
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = Path(str(error.filename)).name
        raise FarziError(f"{folder} holds no {missing}, so no comparison; {again} first") from None
    except ValueError:
        raise FarziError(f"{folder}: its comparison is damaged; {again} again") from None
    try:
        full = [row for row in rows if row["trained_on"] == "full"]
        baseline = {
            "data": run.get("data_sha256"),
            "architecture": full[0]["student"],
            "events": full[0]["events"],
            **{row["metric"]: row["mean"] for row in full},
        }
        shown = headlines(row["metric"] for row in full)
        points = [
            _point(folder, row, facts["relative_to_full"][row["trained_on"]][row["metric"]])
            for row in rows
            if row["trained_on"] in LINES and row["metric"] in shown
        ]
        if not points:
            raise KeyError("summary")
    except (KeyError, TypeError, IndexError, AttributeError):
        raise FarziError(f"{folder}: its comparison is of another version of Farzi; {again} again") from None
    return baseline, points


def _point(folder: Path, row: dict[str, Any], relative: dict[str, float | None]) -> dict[str, Any]:
    values = {"mean": relative["mean"], "low": relative["low"], "high": relative["high"]}
    if all(values.values()):
        mean, *ends = (float(metric_of(row["metric"]).gain(value or 0.0)) for value in values.values())
        values = {"mean": mean, "low": min(ends), "high": max(ends)}
    return {
        "run": str(folder),
        "trained_on": row["trained_on"],
        "sequences": row["sequences"],
        **{size: row[f"{size}_share"] for size in SIZES},
        "metric": row["metric"],
        **values,
    }


def _check_same(first: str, ours: dict[str, Any], name: str, theirs: dict[str, Any]) -> None:
    """Refuse shares of different full data: they cannot stand on one scale."""
    if ours["data"] != theirs["data"]:
        raise FarziError(f"{name} is of other data than {first}; a frontier is of one log or text")
    for what, figure in ours.items():
        other = theirs.get(what)
        if other != figure:
            one, two = (f"{value:.4g}" if isinstance(value, float) else value for value in (figure, other))
            raise FarziError(
                f"{name} was compared with other full-data models than {first} ({what} {two}, not {one}); "
                "compare both with the same settings, the same teach.length among them, and the same cache"
            )


def plot_frontier(points: list[dict[str, Any]], path: str | Path) -> None:
    """Draw the points: a row of panels for each of two metrics, a panel for each kind of size.

    Args:
        points: from `frontier_points`.
        path: of the PNG or SVG file.

    Raises:
        FarziError: the path has another ending.
    """
    check_suffix(path)
    metrics = headlines(point["metric"] for point in points)[:2]
    with rc_context({"svg.hashsalt": "farzi"}):
        figure = Figure(figsize=(10.4, 0.7 + 2.3 * len(metrics)), dpi=150)
        figure.set_layout_engine("constrained", w_pad=0.06)
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(metrics), len(SIZES), sharex="col", sharey="row", squeeze=False)
        for row, metric in zip(panels, metrics, strict=True):
            ours = [one for one in points if one["metric"] == metric and one["mean"] is not None]
            for panel, size in zip(row, SIZES, strict=True):
                _draw(panel, [one for one in ours if one[size]], size)
            row[0].set_ylim(bottom=max(0.0, row[0].get_ylim()[0]))
            row[0].set_ylabel(f"{metric_of(metric).of_gain}, %", fontsize=8.5)
            _label_lines(row[-1], [one for one in ours if one["seconds"]])
        for panel, (size, text) in zip(panels[-1], SIZES.items(), strict=True):
            _set_scale(panel, [100 * one[size] for one in points if one[size]])
            panel.set_xlabel(text, fontsize=8.5)
        figure.suptitle(
            "Test figures in % of the full data's (dashed), by size; 95 % intervals", fontsize=9.5
        )
        buffer, kind = io.BytesIO(), Path(path).suffix[1:].lower()
        figure.savefig(buffer, format=kind, metadata={"Software" if kind == "png" else "Date": None})
    write_bytes_atomic(path, buffer.getvalue())


def check_suffix(path: str | Path) -> None:
    """Raise FarziError where a picture's name does not end in one of `SUFFIXES`."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise FarziError(f"{path}: the picture's name must end in {' or '.join(SUFFIXES)}")


def _draw(axes: Axes, points: list[dict[str, Any]], size: str) -> None:
    """The lines of one panel; points of the same size stand a little beside each other."""
    axes.axhline(100, color=INK, linewidth=0.9, linestyle="--", zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.6)
    axes.tick_params(labelsize=7.5)
    for place, (name, (_, colour, style, filled)) in enumerate(LINES.items()):
        line = sorted((one for one in points if one["trained_on"] == name), key=lambda one: one[size])
        if not line:
            continue
        mean, low, high = ([100 * one[part] for one in line] for part in ("mean", "low", "high"))
        beside = 1.035 ** (place - 1.5)
        axes.errorbar(
            [100 * one[size] * beside for one in line],
            mean,
            [[m - a for m, a in zip(mean, low)], [b - m for m, b in zip(mean, high)]],
            fmt=style,
            color=colour,
            markerfacecolor=colour if filled else "white",
            markersize=4.5,
            linewidth=1.8 if name == "summary" else 1.2,
            elinewidth=0.8,
            zorder=5 - place,
        )


def _label_lines(axes: Axes, points: list[dict[str, Any]]) -> None:
    """The names of the lines to the right of the panel, each near the end of its line, none on another."""
    ends = {one["trained_on"]: one for one in sorted(points, key=lambda one: one["seconds"])}
    bottom, top = axes.get_ylim()
    gap = 0.095 * (top - bottom)
    names = sorted(ends, key=lambda name: ends[name]["mean"])
    heights = [100 * ends[name]["mean"] for name in names]
    for k in range(1, len(names)):
        heights[k] = max(heights[k], heights[k - 1] + gap)
    for k in reversed(range(len(names))):  # back down, where the last ones are above the panel
        heights[k] = min(heights[k], top - (len(names) - 1 - k) * gap)
    for name, height in zip(names, heights, strict=True):
        (text, colour, *_), end = LINES[name], ends[name]
        axes.annotate(
            text,
            (100 * end["seconds"], 100 * end["mean"]),
            xytext=(1.05, height),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color=colour,
            fontweight="bold" if name == "summary" else "normal",
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5, "alpha": 0.5, "shrinkB": 4},
        )


def _set_scale(axes: Axes, values: list[float]) -> None:
    """A logarithmic axis with few ticks that are round numbers."""
    if not values:
        return
    low, high = min(values) / 1.6, max(values) * 1.6
    axes.set_xscale("log")
    digits = (1,) if high / low > 2000 else (1, 3) if high / low > 50 else (1, 2, 5)
    ticks = [digit * 10.0**power for power in range(-8, 8) for digit in digits]
    ticks = [tick for tick in ticks if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(low, high)
