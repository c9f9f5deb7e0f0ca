"""Effects of inner steps, window and epsilon on quality, metagradient, time and memory; and Algorithm 1."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from research.studies.algorithm import AlgorithmOne
from research.studies.bench import Bench
from research.studies.conclusions import (
    best_sentence,
    counted,
    curve,
    first,
    having,
    headline_figures,
    interval_of,
    level_of,
    main_figure,
    table,
    unit,
)
from research.studies.findings import Chart, Findings
from research.studies.price import planned
from research.studies.recipes import NO_LABEL_DECODER, rate_of, without_teachers
from research.studies.rows import Done
from research.studies.study import Demand, Job, Repeat, Row, Setting, Study
from research.studies.sweeps import FULL, full_row, key_of
from research.studies.trainings import Measured, OnSummary

STEPS = (20, 50, 100, 200, 400)
WINDOWS = (1, 5, 10, 20, 40)
EPSILONS = (1e-8, 1e-6, 1e-5, 1e-4, 1e-3)
THROUGH = (2, 5, 10, 20, 50)
"""Steps through which Algorithm 1 is compared with the exact metagradient."""

SWEEPS = ("T", "window", "epsilon", "gradient")


@dataclass(frozen=True)
class Planned:
    """A student on a summary, and the cost of an outer step of that summary.

    Attributes:
        student: the work.
    """

    student: Measured

    def __call__(self, bench: Bench, repeat: Repeat) -> dict[str, float]:
        """The student's figures, `step seconds` and `step MiB` (the window's tensors at most)."""
        training = self.student.training
        plan = planned(Job(training.recipe, training.source), bench)
        (window,) = (row for row in plan.window.rows if row.memory == plan.used)
        costs = {"step seconds": plan.outer_step_with(window), "step MiB": window.peak_bytes / 2**20}
        return {**self.student(bench, repeat), **costs}

    @property
    def demand(self) -> Demand:
        """The student's."""
        return self.student.demand


def grid(setting: Setting) -> Sequence[Row]:
    """One setting varied at a time; then Algorithm 1, whose rows take seconds."""
    recipe = setting.recipe
    inner, outer, rows = recipe.inner, recipe.outer, [full_row(setting)]
    for steps in STEPS:
        if steps >= outer.window:
            burn_in = min(outer.burn_in, steps - outer.window)
            rows.append(_row(setting, "T", steps, {"inner.steps": steps, "outer.burn_in": burn_in}))
    for window in WINDOWS:
        if window <= inner.steps:
            burn_in = min(outer.burn_in, inner.steps - window)
            rows.append(_row(setting, "window", window, {"outer.window": window, "outer.burn_in": burn_in}))
    rows += [_row(setting, "epsilon", epsilon, {"inner.optimizer.epsilon": epsilon}) for epsilon in EPSILONS]
    # Algorithm 1 runs no other optimizer than Adam
    adam = {"inner.optimizer": {"type": "adam", "learning_rate": rate_of(inner.optimizer)}}
    rows += [
        _row(setting, "gradient", name, {**adam, "outer.adjoint": {"type": adjoint}})
        for name, adjoint in (("exact", "exact"), ("algorithm-1", "algorithm1"))
    ]
    alone = recipe.changed({**adam, **without_teachers(recipe), **NO_LABEL_DECODER})
    rows += [
        setting.row(key_of("algorithm-1", steps), {"through": steps}, AlgorithmOne(alone, steps))
        for steps in THROUGH
    ]
    return rows


def _row(setting: Setting, label: str, value: object, settings: dict[str, Any]) -> Row:
    work = Planned(Measured(OnSummary(setting.recipe.changed(settings))))
    return setting.row(key_of(label, value), {"trained on": "summary", "setting": label, label: value}, work)


def conclude(rows: Sequence[Done]) -> Findings:
    """A table and a curve for each setting, and Algorithm 1's cosine."""
    whole, main = first(rows, **{"trained on": FULL}), main_figure(rows)
    tables, charts, sentences = [], [], []
    costs = ("metagradient norm", "step seconds", "step MiB", "distil seconds")
    for label in SWEEPS:
        swept = having(rows, setting=label)
        if not swept:
            continue
        table_rows = [*([whole] if whole and not tables else []), *swept]
        tables.append(
            table(table_rows, ("trained on", label), (*headline_figures(rows), *costs), whole, label)
        )
        words = isinstance(swept[0].labels[label], str)
        level = level_of(whole, main)
        quality = curve(swept, "summary", label, main)
        kind = "bars" if words else "lines"
        charts.append(Chart(label, label, unit(main), (quality,), kind, not words, level))
        sentences.append(best_sentence(swept, label, main, whole))
    paper = [done for done in rows if "through" in done.labels]
    if paper:
        figures = ("cosine", "length ratio", "cosine in float64", "length ratio in float64")
        tables.append(
            table(paper, ("through",), figures, None, "Algorithm 1 compared with the exact metagradient")
        )
        curves = tuple(curve(paper, name, "through", name) for name in ("cosine", "cosine in float64"))
        charts.append(
            Chart("Algorithm 1 and the exact metagradient", "steps through", "cosine", curves, log=True)
        )
        last = paper[-1]
        sentences.append(
            f"Through {last.labels['through']} steps Algorithm 1's metagradient has a cosine of "
            f"{_cosine(last, 'cosine')} with the exact one ({_cosine(last, 'cosine in float64')} in float64)."
        )
    sentences.append(counted([done for done in rows if "through" not in done.labels]))
    return Findings(
        tuple(tables) or (table(rows, ("trained on",), ()),), tuple(charts), " ".join(filter(None, sentences))
    )


def _cosine(done: Done, name: str) -> str:
    mean = interval_of(done, name).mean
    return "no finite value" if math.isnan(mean) else f"{mean:.2f}"


UNROLLING = Study(
    "unrolling",
    "How many inner steps, how many differentiated, with which epsilon; and is Algorithm 1 enough?",
    grid,
    conclude,
)
