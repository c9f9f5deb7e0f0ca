"""A data set, or a kick for one training? Students are trained in other ways than a summary was made for.

On a data set all of them would learn. Each row changes one thing in the training: the number of steps, the
learning rate, epsilon, the batch, the student's width, the optimizer (at a rate chosen on validation events).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from farzi.recipe import Inner, Recipe
from farzi.recipe.variants import StudentVariant
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
from research.studies.recipes import Changes, at_rate, of_architecture, rate_of
from research.studies.rows import Done
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import full_row, key_of
from research.studies.trainings import Measured, OnSummary

FACTORS = (0.25, 0.5, 2.0, 4.0)
"""Multiples of steps, learning rate and width."""
EPSILONS = (1e-8, 1e-6, 1e-4, 1e-3)
BATCHES = (5, 20)
RATES = {
    "adamw": (0.5, 1.0, 2.0),
    "rmsprop": (0.25, 0.5, 1.0),
    "momentum": (5.0, 20.0, 50.0),
    "sgd": (50.0, 150.0),
}
"""Optimizers, and multiples of the recipe's learning rate; the best on the validation events is used."""

WAYS = ("one student", "three students", "rates drawn at random")
"""Ways to distil: see `ways`."""

LEARNT_WITH = "as learnt"


def ways(recipe: Recipe) -> Mapping[str, Changes]:
    """The changes that each way to distil makes to the recipe; some may make a summary less of a kick."""
    others = tuple(of_architecture(recipe.student, name) for name in ("gru4rec", "fmlprec"))
    return {
        WAYS[0]: {},
        WAYS[1]: {"outer.students": others},
        WAYS[2]: {"outer.rate_range": 4.0},
    }


def grid(setting: Setting) -> Sequence[Row]:
    """The full data, and for each way to distil the training it was made for and every change of it."""
    rows = [full_row(setting)]
    for way, settings in ways(setting.recipe).items():
        for change, value, work in changes(setting.recipe.changed(settings)):
            labels = {"trained on": "summary", "learnt with": way, "change": change, "value": value}
            rows.append(setting.row(key_of(way, change, value), labels, work))
    return rows


def changes(recipe: Recipe) -> list[tuple[str, float | str, Measured]]:
    """What is changed, its value, and the training with this change; the unchanged training first."""
    inner, student = recipe.inner, recipe.student
    optimizer, rate = inner.optimizer, rate_of(inner.optimizer)
    rows: list[tuple[str, float | str, Measured]] = [(LEARNT_WITH, 1.0, Measured(OnSummary(recipe)))]

    def add(change: str, value: float | str, work: OnSummary) -> None:
        rows.append((change, value, Measured(work)))

    def with_(**changed: Any) -> Inner:
        return inner.model_copy(update=changed)

    for factor in FACTORS:
        add("steps", factor, OnSummary(recipe, inner=with_(steps=max(1, round(factor * inner.steps)))))
    for factor in FACTORS:
        add(
            "learning rate",
            factor,
            OnSummary(recipe, inner=with_(optimizer=at_rate(optimizer, factor * rate))),
        )
    for epsilon in EPSILONS:
        if optimizer.own.get("epsilon", epsilon) != epsilon:
            other = with_(optimizer=optimizer.model_copy(update={"epsilon": epsilon}))
            add("epsilon", epsilon, OnSummary(recipe, inner=other))
    for batch in BATCHES:
        if batch < recipe.summary.sequences and batch != inner.batch:
            add("batch", float(batch), OnSummary(recipe, inner=with_(batch=batch)))
    for factor in FACTORS:
        width = round(factor * student.own["hidden"])
        if width >= 1 and width % student.own.get("heads", 1) == 0:
            wide: StudentVariant = student.model_copy(update={"hidden": width})
            add("width", factor, OnSummary(recipe, student=wide))
    for name, factors in RATES.items():
        if name != optimizer.type:
            tried = tuple(
                recipe.changed({"inner.optimizer": {"type": name, "learning_rate": factor * rate}}).inner
                for factor in factors
            )
            add("optimizer", name, OnSummary(recipe, among=tried))
    return rows


def conclude(rows: Sequence[Done]) -> Findings:
    """The share of the figure that remains under each change, for each way to distil."""
    main = main_figure(rows)
    tables, curves, sentences = [], {}, []
    for how in WAYS:
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
        sentences.append(
            f"Made with {how}, the summary keeps {100 * mean:.0f} % of its {main} on average over "
            f"{len(shares)} other trainings; the worst is {worst.labels['change']} {_value(worst)}, "
            f"{100 * shares[worst.key].mean:.0f} %, the best "
            f"{100 * max(share.mean for share in shares.values()):.0f} %."
        )
        sentences.append(
            f"Unchanged it has {100 * interval_of(base, main).mean:.1f} %." if "HR" in main else ""
        )
    charts = tuple(
        Chart(change, "epsilon" if change == "epsilon" else "times the recipe's", f"{main}, % of as learnt",
              tuple(few), log=True, level=100.0, level_name="as learnt")
        for change, few in curves.items()
    )  # fmt: skip
    sentences.append(counted(rows))
    all_tables = tuple(tables) or (table(rows, ("trained on",), headline_figures(rows)),)
    return Findings(all_tables, charts, paragraph(sentences))


def _value(done: Done) -> str:
    value = done.labels["value"]
    return f"{value:g}" if isinstance(value, float) else str(value)


KICK = Study(
    "data-or-kick",
    "Is a summary a data set, or a kick for the one training that it was made for?",
    grid,
    conclude,
)
