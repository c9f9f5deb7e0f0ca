"""What T steps learn from ever new real windows with the teachers' predictions as labels.

No summary is in play. A summary's student takes as few steps, on as many events in each: what it learns more
than these students do, the summary teaches better than real data with the same labels.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from farzi.distillation.teacher_loss import Bank, TeacherLoss
from farzi.recipe import Recipe, presets
from farzi.recipe import variants as v
from farzi.summary import Ensemble
from farzi.training import NextEvent, Trained, make_model, make_optimizer
from farzi.unroll import train
from research.studies.bench import FIRST_SEED, Bench, Source
from research.studies.levers import strong
from research.studies.recipes import rate_of
from research.studies.study import Demand, Job, Repeat, Row, Setting, Study
from research.studies.sweeps import Sweep, full_row, key_of
from research.studies.taught import teachers_of
from research.studies.trainings import Measured

STEPS = (50, 100, 300, 1000)
OPTIMIZERS = {
    "steps": ("new real windows", presets.LOG.inner.optimizer),
    "muon": ("new real windows, Muon", v.Muon()),
}
"""The two that are compared, and their rows' names, by the first word of their rows' keys; the learning rate
is the recipe's."""


@dataclass(frozen=True)
class OnStream:
    """A fresh student trained as on a summary, on real windows with labels: new ones in each step.

    Attributes:
        recipe: of the distillation whose teachers, `inner` and size are taken; its objective has the windows.
        source: where the data come from, if not from `recipe.data`.
    """

    recipe: Recipe
    source: Source | None = None

    def fit(self, bench: Bench, repeat: Repeat) -> tuple[Trained, dict[str, float]]:
        """See `research.studies.trainings.Training`."""
        recipe, seed = self.recipe, FIRST_SEED + repeat.number
        dataset = bench.data(recipe.data, self.source, repeat.summary)
        teachers = teachers_of(bench, recipe, repeat.summary, dataset)
        objective, width = recipe.outer.objective.build(), recipe.summary.length
        assert isinstance(objective, TeacherLoss)  # as `strong`
        key = ("bank", recipe.outer.objective, width, recipe.teach, repeat.summary, dataset.name)
        bank: Bank = bench.once(
            key, lambda: objective.bank(dataset.train, Ensemble(teachers.models), width, recipe.seed)
        )
        start = time.perf_counter()
        loss = NextEvent(make_model(recipe.student, len(dataset.vocabulary), width, seed))
        batch = recipe.inner.batch or recipe.summary.sequences
        drawn = np.random.default_rng(seed).integers(len(bank.windows), size=(recipe.inner.steps, batch))

        def step_loss(theta: dict[str, Tensor], data: Tensor, which: Tensor) -> Tensor:
            return bank.loss(loss, theta, which, objective.hard)

        end = train(
            step_loss,
            loss.parameters_of(loss.student),
            torch.zeros(()),
            make_optimizer(recipe.inner, recipe.inner.steps),
            torch.from_numpy(drawn),
        )
        model = loss.student_with(end.theta)
        return Trained(model, time.perf_counter() - start, recipe.inner.steps), {}

    @property
    def demand(self) -> Demand:
        """See `research.studies.trainings.Training`."""
        teachers = getattr(self.recipe.init, "teachers", 1)
        return Demand(tuning=(Job(self.recipe, self.source),) * teachers)


def grid(setting: Setting) -> Sequence[Row]:
    """The full data, and a row for each optimizer and number of steps; the rate falls with their root."""
    recipe = strong(setting.recipe)
    rate = rate_of(recipe.inner.optimizer)
    rows = [full_row(Setting(recipe, setting.seeds, setting.summaries))]
    for word, (name, optimizer) in OPTIMIZERS.items():
        for steps in STEPS:
            slower = round(rate * (recipe.inner.steps / steps) ** 0.5, 5)
            changes = {
                "inner.optimizer": optimizer.model_copy(update={"learning_rate": slower}),
                "inner.steps": steps,
            }
            work = Measured(OnStream(recipe.changed(changes)))
            rows.append(setting.row(key_of(word, steps), {"trained on": name, "steps": steps}, work))
    return rows


FRESH_WINDOWS = Study(
    "fresh-windows",
    "How much do T steps learn from ever new real windows with the teachers' labels?",
    grid,
    Sweep("steps", ("train seconds",), log=True),
)
