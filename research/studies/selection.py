"""Model selection: does a summary rank students as the full data does?

Each row is a student: an architecture, a width and a learning rate (a multiple of each training's own). It is
trained on the full data, on a summary made with the recipe's student, on one made with and initialised by a
student of each architecture, and on the same number of random sequences. At a third of the learning rate a
training has three times the steps (on the full data: between two validations). Kendall's tau (b) compares the
rankings.
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
    ceilings,
    distinct_pairs,
    means,
    rank_correlation,
    repetitions,
    same_order,
)
from research.studies.recipes import ARCHITECTURES, at_rate, of_architecture, rate_of, with_all
from research.studies.rows import Done
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import key_of
from research.studies.trainings import Beside, Measured, OnReal, OnSummary

WIDTHS = (1 / 8, 1 / 4, 1 / 2, 1.0)
"""Multiples of the recipe's width, from too narrow to wide enough."""
FACTORS = (1 / 3, 1.0, 3.0)
"""Multiples of the learning rate."""
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
    """The figures, a scatter plot for each small set, and the taus."""
    main = main_figure(rows, "full: ")
    what = main.removeprefix("full: ")
    figures = [f"{name}: {what}" for name in ("full", *SETS)]
    main_table = table(rows, ("student", "width", "rate"), figures)
    known = [done for done in rows if all(name in done.figures for name in figures)]
    if len(known) < 3:
        return Findings((main_table,), (), counted(rows))
    scale = 100 if is_share(what) else 1
    curves = tuple(
        Curve(name, tuple(_dot(done, main, f"{name}: {what}", scale) for done in known)) for name in SETS
    )
    chart = Chart(f"{what} of {len(known)} students", f"full data: {unit(what)}", f"small set: {unit(what)}",
                  curves, "dots")  # fmt: skip
    sentences = [_rank_sentence(known, main, f"{name}: {what}", name) for name in SETS]
    sentences += [_wider(known, main, what), _agreed(known, main), _distinct(known, main, what)]
    sentences += [_chosen(known, main, what), counted(rows)]
    return Findings((main_table, _orders(known), _pairs(known)), (chart,), paragraph(sentences))


def _orders(rows: Sequence[Done]) -> Table:
    """Each small set's tau with the full data by each figure, and the tau that noise allows."""
    lines = []
    for main in headline_figures(rows, "full: "):
        what = main.removeprefix("full: ")
        taus = [rank_correlation(rows, main, f"{name}: {what}")[0] for name in SETS]
        taus += ceilings(rows, main)
        lines.append(Line((what, *("–" if math.isnan(tau) else f"{tau:.2f}" for tau in taus))))
    columns = ("by", *SETS, "repeated trainings on the full data", "a perfect set")
    return Table(columns, tuple(lines), title="Kendall's tau with the full data")


def _pairs(rows: Sequence[Done]) -> Table:
    """By each figure: the pairs of students that the full data distinguishes, and their order on each set."""
    lines = []
    for main in headline_figures(rows, "full: "):
        what, pairs = main.removeprefix("full: "), distinct_pairs(rows, main)
        agreeing = [same_order(rows, pairs, f"{name}: {what}") for name in SETS]
        cells = [f"{many} ({100 * many / len(pairs):.0f} %)" if pairs else "–" for many in agreeing]
        lines.append(Line((what, str(len(pairs)), *cells)))
    title = "Pairs of students that the full data distinguishes (p < 0.05), and how many have the same order"
    return Table(("by", "pairs", *SETS), tuple(lines), title=title)


def _dot(done: Done, x: str, y: str, scale: float) -> Point:
    mean, low, high = (scale * value for value in interval_of(done, y))
    return Point(scale * interval_of(done, x).mean, mean, low, high)


def _rank_sentence(rows: Sequence[Done], one: str, other: str, name: str) -> str:
    tau, (mean, low, high) = rank_correlation(rows, one, other)
    return (
        f"Kendall's tau of the {name} with the full data over {len(rows)} students is {tau:.2f}; "
        f"of single trainings {mean:.2f} ({low:.2f} to {high:.2f})."
    )


def _wider(rows: Sequence[Done], main: str, what: str) -> str:
    """The taus without the narrowest students: clearly worse ends make a grid easy to rank."""
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
        f"The ranking on the full data is itself uncertain: two single trainings there agree by "
        f"{single:.2f}, the means of {many} and of {many} further ones would agree by {others:.2f}, and a "
        f"perfect small set would reach {perfect:.2f}."
    )


def _distinct(rows: Sequence[Done], main: str, what: str) -> str:
    pairs = distinct_pairs(rows, main)
    if not pairs:
        return ""
    shares = [100 * same_order(rows, pairs, f"{name}: {what}") / len(pairs) for name in SETS]
    agreeing = [f"{share:.0f} % on the {name}" for name, share in zip(SETS, shares)]
    return (
        f"The full data distinguishes {len(pairs)} of {len(rows) * (len(rows) - 1) // 2} pairs of students "
        f"(Welch's test at 5 %); of these {listed(agreeing)} have the same order."
    )


def _chosen(rows: Sequence[Done], main: str, what: str) -> str:
    """The full-data figure of the student that each set selects, as a share of the best one's."""
    up = 1 if is_share(what) else -1
    best = max(up * interval_of(done, main).mean for done in rows)
    words = []
    for name in SETS:
        chosen = rows[int(np.nan_to_num(up * means(rows, f"{name}: {what}"), nan=-np.inf).argmax())]
        words.append(f"{name} {100 * up * interval_of(chosen, main).mean / best:.0f} %")
    return f"The student that each set selects has, of the best {what} on the full data: {listed(words)}."


SELECTION = Study(
    "model-selection",
    "Can a summary select a model: does it rank students as the full data does?",
    grid,
    conclude,
)
