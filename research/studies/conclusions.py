"""From rows to tables, curves and sentences: what the studies share."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from farzi.evaluation import METRICS, Interval, difference_interval, metric_of, seed_interval
from research.studies.findings import Curve, Line, Point, Table, listed
from research.studies.rows import Done

SHARES = ("HR@", "nDCG@", "share", "validation")
"""How names of figures begin that are shares, shown as per cent."""


def figures_of(done: Done, name: str) -> np.ndarray:
    """A figure of each repetition that has it, (n,)."""
    values = [value for value in done.figures.get(name, []) if value is not None]
    return np.asarray(values, float)


def interval_of(done: Done, name: str) -> Interval:
    """Mean and 95 % interval over repetitions; nan where there is none."""
    values = figures_of(done, name)
    return seed_interval(values) if len(values) else Interval(math.nan, math.nan, math.nan)


def bare(name: str) -> str:
    """A figure's name without whose it is: `HR@10` of `full: HR@10`."""
    return name.rpartition(": ")[2]


def is_share(name: str) -> bool:
    """Whether a figure is between 0 and 1 and shown as per cent."""
    last = bare(name)
    return last.startswith(SHARES) or (last in METRICS and METRICS[last].unit == "%")


def number(name: str, value: float) -> str:
    """A value of a figure as people read it, without its unit."""
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
    """`11.7 ±0.6`, and with the full data's row `(91 %)` after it."""
    mean, low, _ = interval_of(done, name)
    if math.isnan(mean):
        return "–"
    text = number(name, mean)
    if np.ptp(figures_of(done, name)) > 0:
        text += f" ±{number(name, mean - low)}"
    if whole is None or whole is done or name not in whole.figures:
        return text
    return f"{text} ({metric_of(bare(name)).ratio(share_of(done, whole, name).mean)})"


def share_of(done: Done, whole: Done, name: str, of: str | None = None) -> Interval:
    """The ratio of two rows' means, its 95 % interval from both intervals (first order); nan at x / 0.

    Args:
        done: whose figure.
        whole: what it is a share of.
        name: the figure.
        of: its name in `whole`, if another one.
    """
    ours, theirs = interval_of(done, name), interval_of(whole, of or name)
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
    """A line a row: its labels, its figures and the command that reruns it.

    Args:
        rows: what is shown.
        labels: whose values come first.
        figures: what comes then; those that no row has are left out.
        whole: the full data's row, of which shares are shown in brackets.
        title: of the table.
    """
    shown = [name for name in figures if any(len(figures_of(done, name)) for done in rows)]
    lines = []
    for done in rows:
        words = [shown_label(done.labels.get(label, "–")) for label in labels]
        cells = [cell(done, name, whole if is_share(name) and bare(name) == name else None) for name in shown]
        if done.failure and cells:
            cells[0] = f"failed: {done.failure}"
        lines.append(Line((*words, *cells), done.command))
    return Table((*labels, *shown), tuple(lines), len(labels), title)


def shown_label(value: Any) -> str:
    """A label as people read it."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)


def curve(rows: Sequence[Done], name: str, x: str, figure: str) -> Curve:
    """The rows' figure over a label of theirs; shares in per cent."""
    scale = 100 if is_share(figure) else 1
    points = []
    for done in rows:
        mean, low, high = (scale * value for value in interval_of(done, figure))
        if not math.isnan(mean):
            place = done.labels[x]
            points.append(Point(place if isinstance(place, int | float) else str(place), mean, low, high))
    return Curve(name, tuple(points))


def unit(figure: str) -> str:
    """What an axis of a figure is called."""
    return f"{figure}, %" if is_share(figure) else figure


def level_of(whole: Done | None, figure: str) -> float | None:
    """Where a chart's dashed line stands: the full data's figure, as its axis has it."""
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
    """Which row is best, which cannot be told from it, and which is worst; empty for fewer than two rows.

    Two rows cannot be told from each other here where their 95 % intervals overlap. The label stands in the
    sentence by its name, or as it is `called`.
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
    said = f"Best {what} is at {place}, {cell(best, figure, whole)}; "
    said += f"worst at {named(worst, label)}, {cell(worst, figure, whole)}."
    if len(tied) == len(known) - 1:
        said += " None lies outside the interval of the best."
    elif tied:
        said += f" Within the interval of the best: {listed([named(done, label) for done in tied])}."
    return said


class Apart(NamedTuple):
    """How far one row is from another in a figure.

    Attributes:
        verdict: what its distance from 0 says: "is ahead of", "is behind" or "cannot be told from".
        text: the difference and its interval, as people read it.
    """

    verdict: str
    text: str


def apart(ours: Done, theirs: Done, figure: str) -> Apart | None:
    """The difference of two rows' means with Welch's 95 % interval; None where one has but one repetition."""
    mine, others = figures_of(ours, figure), figures_of(theirs, figure)
    if min(len(mine), len(others)) < 2:
        return None
    mean, low, high = difference_interval(mine, others)
    clear, behind = (low > 0, high < 0) if higher_is_better(figure) else (high < 0, low > 0)
    verdict = "is ahead of" if clear else "is behind" if behind else "cannot be told from"
    text = f"{'−' if mean < 0 else '+'}{number(figure, abs(mean))} ±{number(figure, mean - low)}"
    return Apart(verdict, text)


def higher_is_better(figure: str) -> bool:
    """Whether more of a figure is better."""
    return bool(metric_of(bare(figure)).gain(2.0) > 1) and not bare(figure).endswith("seconds")


def named(done: Done, label: str) -> str:
    """A row's value of a label."""
    return shown_label(done.labels.get(label, done.key))


def counted(rows: Sequence[Done]) -> str:
    """How many repetitions stand behind the figures and their intervals; empty where there are none."""
    measured = [done for done in rows if done.figures]
    seeds = [max(len(values) for values in done.figures.values()) for done in measured]
    summaries = [done.values.get("summaries", 1) for done in measured]
    if not seeds:
        return ""

    def span(values: Sequence[int], what: str) -> str:
        few, many = min(values), max(values)
        return f"{few} {what}{'s' * (few != 1)}" if few == many else f"{few} to {many} {what}s"

    said = (
        f"Means of {span(seeds, 'student')} a row, on {span(summaries, 'distillation')}, ± 95 % interval "
        "over the students; test events."
    )
    if max(summaries) > 1 or max(seeds) == 1:
        return said
    return f"{said} How another distillation differs, from another seed or machine, is not in the intervals."


def main_figure(rows: Sequence[Done], prefix: str = "") -> str:
    """The figure that a study of these rows is decided by: HR@100 of a log, perplexity of a text."""
    names = {name for done in rows for name in done.figures}
    return f"{prefix}perplexity" if f"{prefix}perplexity" in names else f"{prefix}HR@100"


def headline_figures(rows: Sequence[Done], prefix: str = "") -> tuple[str, ...]:
    """Those that tables of these rows show."""
    names = {name for done in rows for name in done.figures}
    wanted = ("HR@10", "HR@100", "nDCG@10", "AUC", "perplexity", "accuracy", "bits per byte")
    return tuple(f"{prefix}{name}" for name in wanted if f"{prefix}{name}" in names)
