"""Cold start and long tail: hit rates of users and items by their number of training events."""

from collections.abc import Sequence

import numpy as np

from research.studies.conclusions import cell, counted, figures_of, first, interval_of, share_of
from research.studies.findings import Chart, Curve, Findings, Line, Point, Table, paragraph
from research.studies.headline import FARZI, START, TEACHERS, methods
from research.studies.measures import ByGroup, group_names
from research.studies.rows import Done
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import FULL

MEASURE = ByGroup()
DRAWN = (FULL, FARZI, "random", "head")


def grid(setting: Setting) -> Sequence[Row]:
    """Every way to make a small set, measured by groups."""
    return methods(setting, MEASURE)


def conclude(rows: Sequence[Done]) -> Findings:
    """A table and bars for users, and for items."""
    sides = [_side(rows, what, bounds) for what, bounds in (("user", MEASURE.users), ("item", MEASURE.items))]
    whole, ours = first(rows, **{"trained on": FULL}), first(rows, **{"trained on": FARZI})
    sentences = []
    if whole and ours:
        sentences = [
            _ends(ours, whole, what, bounds)
            for what, bounds in (("user", MEASURE.users), ("item", MEASURE.items))
        ]
    sentences.append(counted(rows))
    charts = tuple(chart for _, chart in sides if chart.curves)
    return Findings(tuple(one for one, _ in sides), charts, paragraph(sentences))


def drawn(rows: Sequence[Done]) -> list[Done]:
    """The rows of the picture: `DRAWN`, and the best other one by groups of users."""
    others = [
        done
        for done in rows
        if done.labels["trained on"] not in (*DRAWN, START, *TEACHERS) and not done.failure
    ]
    names = [_figure("user", name) for name in group_names(MEASURE.users)]

    def level(done: Done) -> float:
        return float(np.mean([interval_of(done, name).mean for name in names if name in done.figures]))

    best = [max(others, key=level)] if others else []
    return [done for done in rows if done.labels["trained on"] in DRAWN or done in best]


def _side(rows: Sequence[Done], what: str, bounds: tuple[int, ...]) -> tuple[Table, Chart]:
    names = [
        name for name in group_names(bounds) if any(_figure(what, name) in done.figures for done in rows)
    ]
    lines = []
    for done in rows:
        cells = [cell(done, _figure(what, name)) for name in names]
        lines.append(Line((str(done.labels["trained on"]), *cells), done.command))
    curves = tuple(
        Curve(str(done.labels["trained on"]), tuple(
            Point(name, *(100 * value for value in interval_of(done, _figure(what, name))))
            for name in names if len(figures_of(done, _figure(what, name)))))
        for done in drawn(rows)
    )  # fmt: skip
    title = f"{MEASURE.figure} by training events of the {what}"
    axis = f"{MEASURE.figure}, %"
    return (
        Table(("trained on", *names), tuple(lines), 1, title),
        Chart(
            title, f"training events of the {what}", axis, tuple(one for one in curves if one.points), "bars"
        ),
    )


def _figure(what: str, group: str) -> str:
    return f"{what} {group}: {MEASURE.figure}"


def _ends(ours: Done, whole: Done, what: str, bounds: tuple[int, ...]) -> str:
    """The summary's share of the full data's figure for the rarest and the most common."""
    known = [
        name
        for name in group_names(bounds)
        if _figure(what, name) in ours.figures and share_of(ours, whole, _figure(what, name)).mean > 0
    ]
    if len(known) < 2:
        return ""
    shares = [100 * share_of(ours, whole, _figure(what, name)).mean for name in (known[0], known[-1])]
    return (
        f"Of {what}s with {known[0]} training events the summary has {shares[0]:.0f} % of the full data's "
        f"{MEASURE.figure}, of those with {known[-1]} {shares[1]:.0f} %."
    )


GROUPS = Study(
    "cold-start",
    "Do rare users and rare items lose more than common ones when a summary replaces the data?",
    grid,
    conclude,
)
