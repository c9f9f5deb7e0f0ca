"""A data set, or a starting kick? Students are trained on a summary otherwise than it was learnt for.

A data set would teach them all the same. Each row changes one thing of the training: the number of steps, the
learning rate, epsilon, the batch, the student's width, the optimizer (whose rate the validation chooses).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from farzi.recipe import InnerSettings, Recipe, StudentSettings
from research.studies.conclusions import (
    counted,
    having,
    headline_figures,
    interval_of,
    main_figure,
    share_of,
    table,
)
from research.studies.findings import Chart, Curve, Findings, Point, paragraph
from research.studies.rows import Done
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import full_row, key_of
from research.studies.trainings import Measured, OnSummary
from research.studies.vary import varied

LEARNT: Mapping[str, Mapping[str, Any]] = {
    "one student": {},
    "three students": {"inner.students": ("gru4rec", "fmlprec")},
    "rates drawn at random": {"inner.rate_range": 4.0},
}
"""Ways to distil, some of which may make a summary less of a kick: what each changes in the recipe."""

FACTORS = (0.25, 0.5, 2.0, 4.0)
"""Of steps, learning rate and width."""
EPSILONS = (1e-8, 1e-6, 1e-4, 1e-3)
BATCHES = (5, 20)
RATES = {
    "adamw": (0.5, 1.0, 2.0),
    "rmsprop": (0.25, 0.5, 1.0),
    "momentum": (5.0, 20.0, 50.0),
    "sgd": (50.0, 150.0),
}
"""Optimizers, and shares of the recipe's learning rate of which the validation takes the best."""

LEARNT_WITH = "as learnt"


def grid(setting: Setting) -> Sequence[Row]:
    """The full data, and for each way to distil the training it was learnt for and every change of it."""
    rows = [full_row(setting)]
    for how, settings in LEARNT.items():
        recipe = varied(setting.recipe, settings)
        for change, value, work in changes(recipe):
            labels = {"trained on": "summary", "learnt with": how, "change": change, "value": value}
            rows.append(setting.row(key_of(how, change, value), labels, work))
    return rows


def changes(recipe: Recipe) -> list[tuple[str, float | str, Measured]]:
    """What is changed, to what, and the training that comes of it; the unchanged one first."""
    inner, student = recipe.inner, recipe.student
    found: list[tuple[str, float | str, Measured]] = [(LEARNT_WITH, 1.0, Measured(OnSummary(recipe)))]

    def add(change: str, value: float | str, work: OnSummary) -> None:
        found.append((change, value, Measured(work)))

    def of(**changed: Any) -> InnerSettings:
        return inner.model_copy(update=changed)

    for factor in FACTORS:
        add("steps", factor, OnSummary(recipe, inner=of(steps=max(1, round(factor * inner.steps)))))
    for factor in FACTORS:
        add("learning rate", factor, OnSummary(recipe, inner=of(learning_rate=factor * inner.learning_rate)))
    for epsilon in EPSILONS:
        if epsilon != inner.epsilon:
            add("epsilon", epsilon, OnSummary(recipe, inner=of(epsilon=epsilon)))
    for batch in BATCHES:
        if batch < recipe.summary.sequences and batch != inner.batch:
            add("batch", float(batch), OnSummary(recipe, inner=of(batch=batch)))
    for factor in FACTORS:
        width = round(factor * student.hidden)
        if width >= 1 and width % (student.heads or 1) == 0:
            wide: StudentSettings = student.model_copy(update={"hidden": width})
            add("width", factor, OnSummary(recipe, student=wide))
    for name, factors in RATES.items():
        if name != inner.optimizer:
            other = of(optimizer=name, beta1=None, beta2=None, weight_decay=None)
            rates = (factor * other.learning_rate for factor in factors)
            tried = tuple(other.model_copy(update={"learning_rate": rate}) for rate in rates)
            add("optimizer", name, OnSummary(recipe, among=tried))
    return found


def tell(rows: Sequence[Done]) -> Findings:
    """How much of the figure is left under each change, for each way to distil."""
    main = main_figure(rows)
    tables, curves, said = [], {}, []
    for how in LEARNT:
        mine = having(rows, **{"learnt with": how})
        known = having(mine, change=LEARNT_WITH)
        if not known:
            continue
        base = known[0]
        tables.append(table(mine, ("learnt with", "change", "value"), headline_figures(rows), base))
        others = [done for done in mine if done is not base and not done.failure]
        shares = {done.key: share_of(done, base, main) for done in others}
        if not shares or base.failure:
            continue
        for change in ("steps", "learning rate", "width", "epsilon"):
            points = [
                Point(float(done.labels["value"]), *(100 * value for value in shares[done.key]))
                for done in having(others, change=change)
            ]
            if change != "epsilon":
                points.append(Point(1.0, 100.0, 100.0, 100.0))
            curves.setdefault(change, []).append(Curve(how, tuple(points)))
        worst = min(others, key=lambda done: shares[done.key].mean)
        mean = sum(share.mean for share in shares.values()) / len(shares)
        said.append(
            f"Learnt with {how}, the summary keeps {100 * mean:.0f} % of its {main} on average over "
            f"{len(shares)} other trainings; worst is {worst.labels['change']} {_value(worst)}, "
            f"{100 * shares[worst.key].mean:.0f} %, best "
            f"{100 * max(share.mean for share in shares.values()):.0f} %."
        )
        said.append(
            f"As it was learnt it has {100 * interval_of(base, main).mean:.1f}." if "HR" in main else ""
        )
    charts = tuple(
        Chart(change, "epsilon" if change == "epsilon" else "times the recipe's", f"{main}, % of as learnt",
              tuple(few), log=True, level=100.0, level_name="as learnt")
        for change, few in curves.items()
    )  # fmt: skip
    said.append(counted(rows))
    shown = tuple(tables) or (table(rows, ("trained on",), headline_figures(rows)),)
    return Findings(shown, charts, paragraph(said))


def _value(done: Done) -> str:
    value = done.labels["value"]
    return f"{value:g}" if isinstance(value, float) else str(value)


KICK = Study(
    "data-or-kick",
    "Is a summary a data set, or a starting kick for the one training that it was learnt for?",
    grid,
    tell,
)
