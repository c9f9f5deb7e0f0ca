"""The headline table: a summary beside the full data, real sequences and every other way to make a small set.

A further way to pick real sequences is a line of `CONTROLS`, a further way to learn synthetic ones a line of
`distillers` (research/distillers.md). Their outer steps differ in cost: give all of them the same minutes.
"""

from collections.abc import Mapping, Sequence

from farzi.evaluation.controls import Control, Head, Herding, KCentre, Random
from farzi.recipe import Recipe
from research.studies.conclusions import (
    cell,
    counted,
    curve,
    difference_of,
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
from research.studies.recipes import Changes, without_teachers
from research.studies.rows import Done
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import FULL, full_row, key_of
from research.studies.taught import OfTeachers, OnLabelled
from research.studies.trainings import Measured, OnReal, OnSummary, Training

FARZI, START = "farzi", "its start alone"

CONTROLS: Mapping[str, Control] = {
    "random": Random(),
    "head": Head(),
    "herding": Herding(),
    "k-centre": KCentre(),
}
"""Ways to pick real sequences, by the names in the table."""

TEACHERS = ("teachers", "teachers' ensemble")
"""Full-data models, and so no rivals of a summary."""


def taught(recipe: Recipe) -> Mapping[str, Training]:
    """What a summary's teachers make without a summary, by the names in the table."""
    return {
        "random, teachers' labels": OnLabelled(recipe),
        "random, teachers' labels, equal bytes": OnLabelled(recipe, equal_bytes=True),
        **{name: OfTeachers(recipe, ensemble=name != "teachers") for name in TEACHERS},
    }


START_ALONE: Changes = {"outer.steps": 1, "outer.minutes": None}
"""The initial summary, after the one outer step that every run took when these rows were first measured."""


def paper_method(recipe: Recipe) -> Changes:
    """The paper's method with the settings that were best for it on MovieLens-100k: no label decoder, no
    teacher.
    """
    return {
        **without_teachers(recipe),
        "summary.parametrization": {"type": "low_rank", "dim": 8, "label_decoder": False},
        "inner.optimizer": {"type": "adam", "learning_rate": 0.02},
        "inner.cooldown": 0.0,
        "inner.steps": 50,
        "inner.batch": None,
        "outer.burn_in": 10,
        "outer.window": 10,
        "outer.pool": 16,
        "outer.learning_rate": 0.03,
    }


def distillers(recipe: Recipe) -> Mapping[str, Changes]:
    """Ways to learn synthetic sequences: the changes each makes to the recipe, by the names in the table.

    Only the first two have teachers.
    """
    paper = paper_method(recipe)
    tucker = {"type": "tucker", "dim": 8, "label_decoder": False, "sequence_rank": 25, "position_rank": 10}
    gradients = {"type": "research.distillers.gradients:GradientMatching"}
    trajectories = {
        "type": "research.distillers.trajectories:TrajectoryMatching",
        "trajectories": 5,
        "ahead": 1,
    }
    first_order = {"type": "research.distillers.first_order:FirstOrder", "penalty": 3.0}
    return {
        FARZI: {},
        START: START_ALONE,
        "events": paper,
        "events, SGD inside": {**paper, "inner.optimizer": {"type": "sgd", "learning_rate": 1.0}},
        "events, Algorithm 1": {**paper, "outer.adjoint": {"type": "algorithm1"}},
        "table": {**paper, "summary.parametrization": {"type": "full_logits", "dim": 8}},
        "tucker": {**paper, "summary.parametrization": tucker},
        "rat-bptt": {**paper, "outer.pool": 0, "outer.burn_in": 0},
        "gradients": {**paper, "outer.objective": gradients, "outer.burn_in": 0},
        "trajectories": {**paper, "outer.objective": trajectories},
        "first order": {**paper, "outer.objective": first_order},
    }


def methods(setting: Setting, measure: Measure | None = None) -> list[Row]:
    """A row for the full data and for every way to make a small set, measured in the same way."""
    measure = measure or OnHeldOut()
    rows = [full_row(setting, measure)]
    for name, control in CONTROLS.items():
        work = Measured(OnReal(setting.recipe, control), measure)
        rows.append(setting.row(key_of(name), {"trained on": name}, work))
    for name, training in taught(setting.recipe).items():
        rows.append(setting.row(key_of(name), {"trained on": name}, Measured(training, measure)))
    for name, changes in distillers(setting.recipe).items():
        work = Measured(OnSummary(setting.recipe.changed(changes)), measure)
        rows.append(setting.row(key_of(name), {"trained on": name}, work))
    return rows


def grid(setting: Setting) -> Sequence[Row]:
    """See `methods`."""
    return methods(setting)


def conclude(rows: Sequence[Done]) -> Findings:
    """The table, bars of each figure, and whether Farzi is ahead of the others and of its initial summary."""
    whole, ours = first(rows, **{"trained on": FULL}), first(rows, **{"trained on": FARZI})
    figures = headline_figures(rows)
    main_table = table(rows, ("trained on",), (*figures, "train seconds", "distil seconds"), whole)
    others = [done for done in rows if done is not whole]
    charts = tuple(
        Chart(name, "trained on", unit(name), (curve(others, "", "trained on", name),), "bars", level=level)
        for name, level in ((name, level_of(whole, name)) for name in figures)
    )
    sentences = []
    if ours and whole:
        shares = [f"{name} {_share(ours, whole, name)}" for name in figures]
        sentences.append(f"The summary reaches, of the full data's figures, {listed(shares)}.")
    start = first(rows, **{"trained on": START})
    rivals = [
        done
        for done in others
        if done is not ours
        and done is not start
        and done.labels["trained on"] not in TEACHERS
        and not done.failure
    ]
    if ours and rivals:
        sentences += [_ahead(ours, rivals, name, "the best of the others, ") for name in figures]
    if ours and start and not start.failure:
        sentences += [_ahead(ours, [start], name) for name in figures]
        sentences.append("Differences are given with Welch's 95 % interval.")
    sentences.append(counted(rows))
    return Findings((main_table,), charts, paragraph(sentences))


def _share(done: Done, whole: Done, name: str) -> str:
    mean, low, high = (100 * value for value in share_of(done, whole, name))
    return f"{mean:.0f} % ({low:.0f} to {high:.0f})"


def _ahead(ours: Done, others: Sequence[Done], name: str, prefix: str = "") -> str:
    """Whether the interval of the difference from the best other row excludes 0; `prefix` precedes it."""
    sign = 1 if higher_is_better(name) else -1
    best = max(others, key=lambda done: sign * interval_of(done, name).mean)
    rival = f"{prefix}{best.labels['trained on']} ({cell(best, name)})"
    difference = difference_of(ours, best, name)
    if difference is None:
        return f"In {name} it compares with {rival}."
    return f"In {name} it {difference.verdict} {rival}: {difference.text}."


HEADLINE = Study(
    "headline",
    "How good is a student trained on each kind of small set, compared with one trained on all the data?",
    grid,
    conclude,
    seeds=5,
)
