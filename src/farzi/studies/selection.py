"""Model selection: does a summary put students in the order that the full data puts them in?

Each row is a student: an architecture, a width and a learning rate (as a multiple of each training's own). It
is trained on the full data, on a summary learnt with the recipe's student, on one learnt with a student of
each architecture and taught by all of them, and on as many random sequences. At a part of the learning rate
a training has as many times the steps: on the full data between two measurements, as it ends by itself.
Kendall's tau (b) compares the orders.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from farzi.baselines import Random
from farzi.evaluation import Effort, Interval, seed_interval
from farzi.recipe import InnerSettings, another
from farzi.studies.findings import Chart, Curve, Findings, Line, Point, Table, listed, paragraph
from farzi.studies.rows import Done
from farzi.studies.study import Row, Setting, Study
from farzi.studies.sweeps import key_of
from farzi.studies.telling import (
    counted,
    figures_of,
    headline_figures,
    interval_of,
    is_share,
    main_figure,
    table,
    unit,
)
from farzi.studies.trainings import Beside, Measured, OnReal, OnSummary
from farzi.studies.vary import KINDS, learnt_with_all

WIDTHS = (0.25, 0.5, 1.0)
"""Of the recipe's width."""
FACTORS = (1 / 3, 1.0, 3.0)
"""Of the learning rate."""
SETS = ("summary", "summary of all", "random")


def grid(setting: Setting) -> Sequence[Row]:
    """27 students."""
    recipe = setting.recipe
    of_all = learnt_with_all(recipe, KINDS)
    rows = []
    for name in KINDS:
        for share in WIDTHS:
            width = max(2, round(share * recipe.student.hidden))
            student = another(recipe.student, name).model_copy(update={"hidden": width, "heads": None})
            for factor in FACTORS:
                fixed, inner = _effort(factor, setting.effort), _inner(factor, recipe.inner)
                work = Beside(
                    (
                        ("full", Measured(OnReal(recipe, None, student, fixed))),
                        ("summary", Measured(OnSummary(recipe, student, inner))),
                        ("summary of all", Measured(OnSummary(of_all, student, inner))),
                        ("random", Measured(OnReal(recipe, Random(), student, fixed))),
                    )
                )
                labels = {"student": name, "width": width, "rate": f"x {factor:.2g}"}
                rows.append(setting.row(key_of(name, width, f"{factor:.2g}"), labels, work))
    return rows


def _effort(factor: float, effort: Effort) -> Effort:
    """Training on real events at so many times the learning rate."""
    training, longer = effort.training, max(1.0, 1 / factor)
    return replace(
        effort,
        rates=(factor * training.learning_rate,),
        training=replace(
            training, steps=round(longer * training.steps), every=round(longer * training.every)
        ),
    )


def _inner(factor: float, inner: InnerSettings) -> InnerSettings:
    """Training on a summary at so many times the learning rate."""
    steps = round(max(1.0, 1 / factor) * inner.steps)
    return inner.model_copy(update={"learning_rate": factor * inner.learning_rate, "steps": steps})


def kendall(first: Sequence[float], second: Sequence[float]) -> float:
    """Kendall's tau-b of two lists of figures; nan where one is constant."""
    from scipy.stats import kendalltau  # here: it takes a second to load

    found: Any = kendalltau(np.asarray(first), np.asarray(second))
    return float(found.statistic)


def rank_correlation(rows: Sequence[Done], one: str, other: str) -> tuple[float, Interval]:
    """Tau of two figures over students: of their means, and its interval over repetitions.

    A repetition's tau is that of single trainings, noise of both in it: it is below that of the means.
    """
    whole = kendall(
        [interval_of(done, one).mean for done in rows], [interval_of(done, other).mean for done in rows]
    )
    seeds = _repetitions(rows, one, other)
    known = np.asarray(_taus(rows, one, other, ((k, k) for k in range(seeds))))
    return whole, seed_interval(known) if len(known) else Interval(math.nan, math.nan, math.nan)


def agreement(rows: Sequence[Done], figure: str) -> float:
    """Mean tau of a figure with itself, over all pairs of two repetitions; nan where there is one only.

    What no other figure can be expected to surpass in single trainings: the order is that uncertain itself.
    """
    taus = _taus(rows, figure, figure, itertools.combinations(range(_repetitions(rows, figure)), 2))
    return float(np.mean(taus)) if taus else math.nan


def reliability(rows: Sequence[Done], figure: str) -> float:
    """How far the means over repetitions would correlate with those of as many others (Pearson); nan where
    there is one repetition only or one row.

    The intraclass correlation ICC(1, k) of Shrout and Fleiss, Psychological Bulletin 86 (1979): students' own
    variance as a share of that of their means, 0 where their means differ no more than by noise.
    """
    values = [figures_of(done, figure) for done in rows]
    if len(values) < 2 or min(map(len, values)) < 2:
        return math.nan
    noise = float(np.mean([one.var(ddof=1) / len(one) for one in values]))
    spread = float(np.var([one.mean() for one in values], ddof=1))
    return max(0.0, 1 - noise / spread) if spread > 0 else math.nan


def tau_of(correlation: float) -> float:
    """Kendall's tau of two normal figures with a Pearson correlation (Greiner's relation): 2/π arcsin r."""
    return 2 / math.pi * math.asin(correlation)


def ceilings(rows: Sequence[Done], figure: str) -> tuple[float, float]:
    """The taus that noise leaves to a figure's means: with as many others, and with what both estimate."""
    means = reliability(rows, figure)
    return tau_of(means), tau_of(math.sqrt(means))


def _repetitions(rows: Sequence[Done], *figures: str) -> int:
    return min((len(done.figures[name]) for done in rows for name in figures), default=0)


def _taus(rows: Sequence[Done], one: str, other: str, pairs: Iterable[tuple[int, int]]) -> list[float]:
    """Tau of one figure's repetition i with another's j, for pairs (i, j), where it is defined."""
    taus = []
    for i, j in pairs:
        both = [(done.figures[one][i], done.figures[other][j]) for done in rows]
        kept = [(a, b) for a, b in both if a is not None and b is not None]
        taus.append(kendall([a for a, _ in kept], [b for _, b in kept]))
    return [tau for tau in taus if not math.isnan(tau)]


def tell(rows: Sequence[Done]) -> Findings:
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
    said += [_agreed(known, main), _chosen(known, main, what), counted(rows)]
    return Findings((shown, _orders(known)), (chart,), paragraph(said))


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


def _dot(done: Done, x: str, y: str, scale: float) -> Point:
    mean, low, high = (scale * value for value in interval_of(done, y))
    return Point(scale * interval_of(done, x).mean, mean, low, high)


def _said(rows: Sequence[Done], one: str, other: str, name: str) -> str:
    tau, (mean, low, high) = rank_correlation(rows, one, other)
    return (
        f"Kendall's tau of the {name} with the full data over {len(rows)} students is {tau:.2f}; "
        f"of single trainings {mean:.2f} ({low:.2f} to {high:.2f})."
    )


def _agreed(rows: Sequence[Done], main: str) -> str:
    single, (others, perfect) = agreement(rows, main), ceilings(rows, main)
    if math.isnan(single) or math.isnan(others):
        return ""
    many = _repetitions(rows, main)
    return (
        f"The order on the full data is uncertain itself: two single trainings there agree by {single:.2f}, "
        f"the means of {many} and of {many} others would by {others:.2f}, and a small set without any "
        f"fault would reach {perfect:.2f}."
    )


def _chosen(rows: Sequence[Done], main: str, what: str) -> str:
    """What the student that each set chooses reaches on the full data, of the best one's figure."""
    up = 1 if is_share(what) else -1
    best = max(up * interval_of(done, main).mean for done in rows)
    words = []
    for name in SETS:
        chosen = max(rows, key=lambda done: up * interval_of(done, f"{name}: {what}").mean)
        words.append(f"the {name} {100 * up * interval_of(chosen, main).mean / best:.0f} %")
    return f"Of the best {what} on the full data, the student has there that is chosen by {listed(words)}."


SELECTION = Study(
    "model-selection",
    "Can a summary choose a model: does it put students in the order that the full data does?",
    grid,
    tell,
)
