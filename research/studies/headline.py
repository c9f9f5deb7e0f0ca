"""The headline table: a summary beside the full data, real sequences and every other way to make a small set.

A way to pick real sequences is a line of `farzi.evaluation.controls.SUBSETS`, a way to learn synthetic ones a line of
`DISTILLERS` (research/distillers.md). Outer steps cost unlike amounts: give all of them the same minutes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from farzi.evaluation.controls import SUBSETS
from research.studies.conclusions import (
    apart,
    cell,
    counted,
    curve,
    first,
    headline_figures,
    higher_is_better,
    interval_of,
    level_of,
    share_of,
    table,
    unit,
)
from research.studies.findings import Chart, Findings, listed, paragraph
from research.studies.measures import Measure, OnHeldOut
from research.studies.rows import Done
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import FULL, full_row, key_of
from research.studies.trainings import Measured, OnReal, OnSummary
from research.studies.vary import UNTAUGHT, varied

FARZI, START = "farzi", "its start alone"

EVENTS: Mapping[str, Any] = {
    "summary.dim": 8,
    **UNTAUGHT,
    "inner.optimizer": "adam",
    "inner.learning_rate": 0.02,
    "inner.cooldown": 0.0,
    "inner.steps": 50,
    "inner.batch": None,
    "inner.skip": 10,
    "inner.window": 10,
    "inner.pool": 16,
    "outer.learning_rate": 0.03,
}
"""The paper's method, with what was best for it on MovieLens-100k: what is read is what is predicted."""

DISTILLERS: Mapping[str, Mapping[str, Any]] = {
    FARZI: {},
    START: {"outer.steps": 1, "outer.minutes": None},
    "events": EVENTS,
    "events, SGD inside": {**EVENTS, "inner.optimizer": "sgd", "inner.learning_rate": 1.0},
    "events, Algorithm 1": {**EVENTS, "inner.gradient": "algorithm-1"},
    "table": {**EVENTS, "summary.form": "table"},
    "tucker": {**EVENTS, "summary.form": "tucker", "summary.user_rank": 25, "summary.time_rank": 10},
    "rat-bptt": {**EVENTS, "inner.pool": 0, "inner.skip": 0},
    "gradients": {**EVENTS, "outer.objective": "gradients", "inner.skip": 0},
    "trajectories": {**EVENTS, "outer.objective": "trajectories"},
}
"""Ways to learn synthetic sequences: what each changes in the recipe, by the names in the table.

Only the first two ask a student of the full data; `its start alone` is what that one said, and one step.
"""


def methods(setting: Setting, measure: Measure | None = None) -> list[Row]:
    """A row for the full data and for every way to make a small set, all measured alike."""
    measure = measure or OnHeldOut()
    rows = [full_row(setting, measure)]
    for name, subset in SUBSETS.items():
        work = Measured(OnReal(setting.recipe, subset, effort=setting.effort), measure)
        rows.append(setting.row(key_of(name), {"trained on": name}, work))
    for name, settings in DISTILLERS.items():
        work = Measured(OnSummary(varied(setting.recipe, settings)), measure)
        rows.append(setting.row(key_of(name), {"trained on": name}, work))
    return rows


def grid(setting: Setting) -> Sequence[Row]:
    """See `methods`."""
    return methods(setting)


def tell(rows: Sequence[Done]) -> Findings:
    """The table, bars of each figure, and whether Farzi is ahead of the others and of its start."""
    whole, ours = first(rows, **{"trained on": FULL}), first(rows, **{"trained on": FARZI})
    figures = headline_figures(rows)
    shown = table(rows, ("trained on",), (*figures, "train seconds", "distil seconds"), whole)
    others = [done for done in rows if done is not whole]
    charts = tuple(
        Chart(name, "trained on", unit(name), (curve(others, "", "trained on", name),), "bars", level=level)
        for name, level in ((name, level_of(whole, name)) for name in figures)
    )
    said = []
    if ours and whole:
        shares = [f"{name} {_share(ours, whole, name)}" for name in figures]
        said.append(f"Of the full data's figures the summary reaches {listed(shares)}.")
    start = first(rows, **{"trained on": START})
    rivals = [done for done in others if done is not ours and done is not start and not done.failure]
    if ours and rivals:
        said += [_ahead(ours, rivals, name, "the best of the others, ") for name in figures]
    if ours and start and not start.failure:
        said += [_ahead(ours, [start], name) for name in figures]
        said.append("Differences are given with Welch's 95 % interval.")
    said.append(counted(rows))
    return Findings((shown,), charts, paragraph(said))


def _share(done: Done, whole: Done, name: str) -> str:
    mean, low, high = (100 * value for value in share_of(done, whole, name))
    return f"{mean:.0f} % ({low:.0f} to {high:.0f})"


def _ahead(ours: Done, others: Sequence[Done], name: str, called: str = "") -> str:
    """Whether the interval of our difference from the best of the others, `called` so, is clear of 0."""
    sign = 1 if higher_is_better(name) else -1
    best = max(others, key=lambda done: sign * interval_of(done, name).mean)
    told = f"{called}{best.labels['trained on']} ({cell(best, name)})"
    difference = apart(ours, best, name)
    if difference is None:
        return f"In {name} it is to be held against {told}."
    return f"In {name} it {difference.verdict} {told}: {difference.text}."


HEADLINE = Study(
    "headline",
    "How good is a student trained on each kind of small set, beside one trained on all the data?",
    grid,
    tell,
    seeds=5,
)
