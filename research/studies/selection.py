"""Model selection: does a summary put students in the order that the full data puts them in?

Each row is a student: an architecture, a width and a learning rate (as a multiple of each training's own). It
is trained on the full data, on a summary learnt with the recipe's student, on one learnt with a student of
each architecture and taught by all of them, and on as many random sequences. At a part of the learning rate
a training has as many times the steps: on the full data between two measurements, as it ends by itself.
Kendall's tau (b) compares the orders.
"""

import math
from collections.abc import Sequence

import numpy as np

from farzi.evaluation.controls import Random
from farzi.recipe import Inner, Teach
from research.studies.conclusions import (
    counted,
    headline_figures,
    interval_of,
    is_share,
    main_figure,
    table,
    unit,
)
from research.studies.findings import Chart, Curve, Findings, Line, Point, Table, listed, paragraph
from research.studies.orders import (
    agreement,
    alike,
    ceilings,
    means,
    rank_correlation,
    repetitions,
    told_apart,
)
from research.studies.recipes import ARCHITECTURES, at_rate, of_architecture, rate_of, with_all
from research.studies.rows import Done
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import key_of
from research.studies.trainings import Beside, Measured, OnReal, OnSummary

WIDTHS = (1 / 8, 1 / 4, 1 / 2, 1.0)
"""Of the recipe's width: from too narrow to wide enough, as a grid has them."""
FACTORS = (1 / 3, 1.0, 3.0)
"""Of the learning rate."""
SETS = ("summary", "summary of all", "random")


def grid(setting: Setting) -> Sequence[Row]:
    """36 students."""
    recipe = setting.recipe
    of_all = with_all(recipe, ARCHITECTURES)
    rows = []
    for name in ARCHITECTURES:
        for share in WIDTHS:
            width = max(2, round(share * recipe.student.own["hidden"]))
            heads = {"heads": 1} if "heads" in recipe.student.own else {}
            one_head = recipe.student.model_copy(update={"hidden": width, **heads})
            student = of_architecture(one_head, name)
            for factor in FACTORS:
                teach, inner = _teach(factor, recipe.teach), _inner(factor, recipe.inner)
                work = Beside(
                    (
                        ("full", Measured(OnReal(recipe, None, student, teach))),
                        ("summary", Measured(OnSummary(recipe, student, inner))),
                        ("summary of all", Measured(OnSummary(of_all, student, inner))),
                        ("random", Measured(OnReal(recipe, Random(), student, teach))),
                    )
                )
                labels = {"student": name, "width": width, "rate": f"x {factor:.2g}"}
                rows.append(setting.row(key_of(name, width, f"{factor:.2g}"), labels, work))
    return rows


def _teach(factor: float, teach: Teach) -> Teach:
    """Training on real events at a multiple of the learning rate."""
    longer, rate = max(1.0, 1 / factor), factor * rate_of(teach.optimizer)
    return teach.model_copy(
        update={
            "max_steps": round(longer * teach.max_steps),
            "validate_every": round(longer * teach.validate_every),
            "grid": teach.grid.model_copy(update={"learning_rate": (rate,)}),
        }
    )


def _inner(factor: float, inner: Inner) -> Inner:
    """Training on a summary at a multiple of the learning rate."""
    return inner.model_copy(
        update={
            "optimizer": at_rate(inner.optimizer, factor * rate_of(inner.optimizer)),
            "steps": round(max(1.0, 1 / factor) * inner.steps),
        }
    )


def conclude(rows: Sequence[Done]) -> Findings:
    """The figures, a cloud of dots for each small set, and the taus."""
    main = main_figure(rows, "full: ")
    what = main.removeprefix("full: ")
    figures = [f"{name}: {what}" for name in ("full", *SETS)]
    shown = table(rows, ("student", "width", "rate"), figures)
    known = [done for done in rows if all(name in done.figures for name in figures)]
    if len(known) < 3:
        return Findings((shown,), (), counted(rows))
    scale = 100 if is_share(what) else 1
    curves = tuple(
        Curve(name, tuple(_dot(done, main, f"{name}: {what}", scale) for done in known)) for name in SETS
    )
    chart = Chart(f"{what} of {len(known)} students", f"full data: {unit(what)}", f"small set: {unit(what)}",
                  curves, "dots")  # fmt: skip
    said = [_said(known, main, f"{name}: {what}", name) for name in SETS]
    said += [_wider(known, main, what), _agreed(known, main), _apart(known, main, what)]
    said += [_chosen(known, main, what), counted(rows)]
    return Findings((shown, _orders(known), _pairs(known)), (chart,), paragraph(said))


def _orders(rows: Sequence[Done]) -> Table:
    """Each small set's tau with the full data by each figure, and what noise would leave of a perfect one."""
    lines = []
    for main in headline_figures(rows, "full: "):
        what = main.removeprefix("full: ")
        taus = [rank_correlation(rows, main, f"{name}: {what}")[0] for name in SETS]
        taus += ceilings(rows, main)
        lines.append(Line((what, *("–" if math.isnan(tau) else f"{tau:.2f}" for tau in taus))))
    columns = ("by", *SETS, "as many trainings on the full data", "a set without fault")
    return Table(columns, tuple(lines), title="Kendall's tau with the full data")


def _pairs(rows: Sequence[Done]) -> Table:
    """Of the pairs of students that the full data tells apart by each figure, those each set orders alike."""
    lines = []
    for main in headline_figures(rows, "full: "):
        what, pairs = main.removeprefix("full: "), told_apart(rows, main)
        kept = [alike(rows, pairs, f"{name}: {what}") for name in SETS]
        told = [f"{many} ({100 * many / len(pairs):.0f} %)" if pairs else "–" for many in kept]
        lines.append(Line((what, str(len(pairs)), *told)))
    title = "Pairs of students that the full data tells apart (p < 0.05), and how many each set orders alike"
    return Table(("by", "pairs", *SETS), tuple(lines), title=title)


def _dot(done: Done, x: str, y: str, scale: float) -> Point:
    mean, low, high = (scale * value for value in interval_of(done, y))
    return Point(scale * interval_of(done, x).mean, mean, low, high)


def _said(rows: Sequence[Done], one: str, other: str, name: str) -> str:
    tau, (mean, low, high) = rank_correlation(rows, one, other)
    return (
        f"Kendall's tau of the {name} with the full data over {len(rows)} students is {tau:.2f}; "
        f"of single trainings {mean:.2f} ({low:.2f} to {high:.2f})."
    )


def _wider(rows: Sequence[Done], main: str, what: str) -> str:
    """The taus without the narrowest students: a grid whose ends are plainly worse is an easy one."""
    narrowest = min(done.labels["width"] for done in rows)
    wider = [done for done in rows if done.labels["width"] > narrowest]
    if len(wider) < 3:
        return ""
    taus = [(name, rank_correlation(wider, main, f"{name}: {what}")[0]) for name in SETS]
    words = listed([f"{tau:.2f} of the {name}" for name, tau in taus])
    return f"Without the narrowest students, over {len(wider)}, it is {words}."


def _agreed(rows: Sequence[Done], main: str) -> str:
    single, (others, perfect) = agreement(rows, main), ceilings(rows, main)
    if math.isnan(single) or math.isnan(others):
        return ""
    many = repetitions(rows, main)
    return (
        f"The order on the full data is uncertain itself: two single trainings there agree by {single:.2f}, "
        f"the means of {many} and of {many} others would by {others:.2f}, and a small set without any "
        f"fault would reach {perfect:.2f}."
    )


def _apart(rows: Sequence[Done], main: str, what: str) -> str:
    pairs = told_apart(rows, main)
    if not pairs:
        return ""
    kept = [f"the {name} {100 * alike(rows, pairs, f'{name}: {what}') / len(pairs):.0f} %" for name in SETS]
    return (
        f"Of the {len(pairs)} pairs of students that the full data tells apart (Welch's test at 5 %), "
        f"of {len(rows) * (len(rows) - 1) // 2}, the same order comes of {listed(kept)}."
    )


def _chosen(rows: Sequence[Done], main: str, what: str) -> str:
    """What the student that each set chooses reaches on the full data, of the best one's figure."""
    up = 1 if is_share(what) else -1
    best = max(up * interval_of(done, main).mean for done in rows)
    words = []
    for name in SETS:
        chosen = rows[int(np.nan_to_num(up * means(rows, f"{name}: {what}"), nan=-np.inf).argmax())]
        words.append(f"the {name} {100 * up * interval_of(chosen, main).mean / best:.0f} %")
    return f"Of the best {what} on the full data, the student has there that is chosen by {listed(words)}."


SELECTION = Study(
    "model-selection",
    "Can a summary choose a model: does it put students in the order that the full data does?",
    grid,
    conclude,
)
