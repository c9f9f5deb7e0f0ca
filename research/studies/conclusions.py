"""From measured rows to tables, curves and sentences: what the studies share."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from farzi.evaluation import METRICS, Interval, metric_of, seed_interval, t_interval
from research.studies.findings import Curve, Line, Point, Table, listed
from research.studies.rows import Done

SHARES = ("HR@", "nDCG@", "share", "validation")
"""Beginnings of the names of figures that are shares, shown in per cent."""


def figures_of(done: Done, name: str) -> np.ndarray:
    """A figure of the repetitions that have it, (n,)."""
    values = [value for value in done.figures.get(name, []) if value is not None]
    return np.asarray(values, float)


def interval_of(done: Done, name: str) -> Interval:
    """Mean and 95 % interval over repetitions; nan if there is none."""
    values = figures_of(done, name)
    return seed_interval(values) if len(values) else Interval(math.nan, math.nan, math.nan)


def bare(name: str) -> str:
    """A figure's name without what stands before the colon: `HR@10` of `full: HR@10`."""
    return name.rpartition(": ")[2]


def is_share(name: str) -> bool:
    """Whether a figure is between 0 and 1 and shown in per cent."""
    last = bare(name)
    return last.startswith(SHARES) or (last in METRICS and METRICS[last].unit == "%")


def number(name: str, value: float) -> str:
    """A value of a figure as text, without its unit."""
    if math.isnan(value):
        return "–"
    if is_share(name):
        return f"{100 * value:.1f}"
    if bare(name) in METRICS:
        return metric_of(bare(name)).text(value)
    if bare(name).endswith("seconds"):
        return f"{value:.2f}" if value < 10 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def cell(done: Done, name: str, whole: Done | None = None) -> str:
    """`11.7 ±0.6`, followed by `(91 %)` if the full data's row is given."""
    mean, low, _ = interval_of(done, name)
    if math.isnan(mean):
        return "–"
    text = number(name, mean)
    if np.ptp(figures_of(done, name)) > 0:
        text += f" ±{number(name, mean - low)}"
    if whole is None or whole is done or name not in whole.figures:
        return text
    return f"{text} ({metric_of(bare(name)).ratio(share_of(done, whole, name).mean)})"


def share_of(done: Done, whole: Done, name: str, whole_name: str | None = None) -> Interval:
    """The ratio of two rows' means, its 95 % interval from both intervals (first order); nan at x / 0.

    Args:
        done: the row.
        whole: the row that it is divided by.
        name: the figure.
        whole_name: its name in `whole`, if it has another one.
    """
    ours, theirs = interval_of(done, name), interval_of(whole, whole_name or name)
    if not ours.mean or not theirs.mean or math.isnan(ours.mean) or math.isnan(theirs.mean):
        zero = ours.mean == 0 and theirs.mean not in (0, math.nan)
        return Interval(0.0, 0.0, 0.0) if zero else Interval(math.nan, math.nan, math.nan)
    ratio = ours.mean / theirs.mean
    spread = ratio * math.hypot((ours.mean - ours.low) / ours.mean, (theirs.mean - theirs.low) / theirs.mean)
    return Interval(ratio, ratio - spread, ratio + spread)


def table(
    rows: Sequence[Done],
    labels: Sequence[str],
    figures: Sequence[str],
    whole: Done | None = None,
    title: str = "",
) -> Table:
    """One line for each row: its labels, its figures and the command that reruns it.

    Args:
        rows: measured rows.
        labels: names of the first columns.
        figures: names of the other columns; those that no row has are left out.
        whole: the full data's row; shares of its figures are shown in brackets.
        title: of the table.
    """
    present = [name for name in figures if any(len(figures_of(done, name)) for done in rows)]
    lines = []
    for done in rows:
        words = [shown_label(done.labels.get(label, "–")) for label in labels]
        cells = [
            cell(done, name, whole if is_share(name) and bare(name) == name else None) for name in present
        ]
        if done.failure and cells:
            cells[0] = f"failed: {done.failure}"
        lines.append(Line((*words, *cells), done.command))
    return Table((*labels, *present), tuple(lines), len(labels), title)


def shown_label(value: Any) -> str:
    """A label as text."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)


def curve(rows: Sequence[Done], name: str, x: str, figure: str) -> Curve:
    """A figure of the rows over one of their labels; shares in per cent."""
    scale = 100 if is_share(figure) else 1
    points = []
    for done in rows:
        mean, low, high = (scale * value for value in interval_of(done, figure))
        if not math.isnan(mean):
            place = done.labels[x]
            points.append(Point(place if isinstance(place, int | float) else str(place), mean, low, high))
    return Curve(name, tuple(points))


def unit(figure: str) -> str:
    """The label of a figure's axis."""
    return f"{figure}, %" if is_share(figure) else figure


def level_of(whole: Done | None, figure: str) -> float | None:
    """The place of a chart's dashed line: the full data's figure in the unit of its axis."""
    return None if whole is None else (100 if is_share(figure) else 1) * interval_of(whole, figure).mean


def first(rows: Sequence[Done], **labels: Any) -> Done | None:
    """The first row that has all of these labels."""
    return next((done for done in rows if all(done.labels.get(k) == v for k, v in labels.items())), None)


def having(rows: Sequence[Done], **labels: Any) -> list[Done]:
    """All rows that have all of these labels."""
    return [done for done in rows if all(done.labels.get(k) == v for k, v in labels.items())]


def best_sentence(
    rows: Sequence[Done], label: str, figure: str, whole: Done | None = None, called: str | None = None
) -> str:
    """Which rows are best and worst, and which lie within the best one's interval; empty for fewer than two.

    Two rows do not differ clearly here if their 95 % intervals overlap. `called` replaces the label's name.
    """
    known = [done for done in rows if not math.isnan(interval_of(done, figure).mean)]
    if len(known) < 2:
        return ""
    up = higher_is_better(figure)
    ranked = sorted(known, key=lambda done: interval_of(done, figure).mean, reverse=up)
    best, worst = ranked[0], ranked[-1]
    own = interval_of(best, figure)
    tied = [
        done
        for done in known
        if done is not best
        and interval_of(done, figure).low <= own.high
        and interval_of(done, figure).high >= own.low
    ]
    what = bare(figure)
    place = f"{label if called is None else called} {named(best, label)}".strip()
    text = f"Best {what} is at {place}, {cell(best, figure, whole)}; "
    text += f"worst at {named(worst, label)}, {cell(worst, figure, whole)}."
    if len(tied) == len(known) - 1:
        text += " None lies outside the interval of the best."
    elif tied:
        text += f" Within the interval of the best: {listed([named(done, label) for done in tied])}."
    return text


class Difference(NamedTuple):
    """How far one row is from another in a figure.

    Attributes:
        verdict: "is ahead of", "is behind" or, if the interval contains 0, "does not differ clearly from".
        text: the difference and its interval.
    """

    verdict: str
    text: str


def difference_interval(ours: np.ndarray, theirs: np.ndarray) -> Interval:
    """Difference of the means over seeds, and its Welch t interval (Biometrika 34, 1947).

    Args:
        ours: (n,), n ≥ 2.
        theirs: (m,), m ≥ 2; the variances may differ.
    """
    mean = float(np.mean(ours) - np.mean(theirs))
    parts = [np.var(figures, ddof=1) / len(figures) for figures in (ours, theirs)]
    error = math.fsum(parts) ** 0.5
    if error == 0:
        return Interval(mean, mean, mean)
    freedom = error**4 / sum(part**2 / (len(figures) - 1) for part, figures in zip(parts, (ours, theirs)))
    return t_interval(mean, error, freedom)


def difference_of(ours: Done, theirs: Done, figure: str) -> Difference | None:
    """The difference of two rows' means with Welch's 95 % interval; None if one has a single repetition."""
    mine, others = figures_of(ours, figure), figures_of(theirs, figure)
    if min(len(mine), len(others)) < 2:
        return None
    mean, low, high = difference_interval(mine, others)
    clear, behind = (low > 0, high < 0) if higher_is_better(figure) else (high < 0, low > 0)
    verdict = "is ahead of" if clear else "is behind" if behind else "does not differ clearly from"
    text = f"{'−' if mean < 0 else '+'}{number(figure, abs(mean))} ±{number(figure, mean - low)}"
    return Difference(verdict, text)


def higher_is_better(figure: str) -> bool:
    """Whether a higher figure is better."""
    return bool(metric_of(bare(figure)).gain(2.0) > 1) and not bare(figure).endswith("seconds")


def named(done: Done, label: str) -> str:
    """A row's value of a label."""
    return shown_label(done.labels.get(label, done.key))


def counted(rows: Sequence[Done]) -> str:
    """How many repetitions the figures and their intervals are from; empty if there are none."""
    measured = [done for done in rows if done.figures]
    seeds = [max(len(values) for values in done.figures.values()) for done in measured]
    summaries = [done.values.get("summaries", 1) for done in measured]
    if not seeds:
        return ""

    def span(values: Sequence[int], what: str) -> str:
        few, many = min(values), max(values)
        return f"{few} {what}{'s' * (few != 1)}" if few == many else f"{few} to {many} {what}s"

    text = (
        f"Each row: the mean of {span(seeds, 'student')} on {span(summaries, 'distillation')}, ± its 95 % "
        "interval over the students; test events."
    )
    if max(summaries) > 1 or max(seeds) == 1:
        return text
    return f"{text} The intervals do not contain the differences between distillations."


def main_figure(rows: Sequence[Done], prefix: str = "") -> str:
    """The figure that decides a study: HR@100 of a log, perplexity of a text."""
    names = {name for done in rows for name in done.figures}
    return f"{prefix}perplexity" if f"{prefix}perplexity" in names else f"{prefix}HR@100"


def headline_figures(rows: Sequence[Done], prefix: str = "") -> tuple[str, ...]:
    """The figures that tables of these rows show."""
    names = {name for done in rows for name in done.figures}
    wanted = ("HR@10", "HR@100", "nDCG@10", "AUC", "perplexity", "accuracy", "bits per byte")
    return tuple(f"{prefix}{name}" for name in wanted if f"{prefix}{name}" in names)
