"""What students are trained on, and the work of a row: train and measure. All of it as values."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch

from farzi.data import Data, Sequences
from farzi.data.fingerprint import checksum, fingerprint
from farzi.evaluation import Seen, metric_of, task_of
from farzi.evaluation.controls import Control
from farzi.evaluation.trials import Trials
from farzi.evaluation.tuning import ALONE, AXES, trainings_of, tune
from farzi.event_training import Report, train_on_events, training_facts
from farzi.models import SequenceModel
from farzi.recipe import Inner, Recipe, Teach
from farzi.recipe.variants import StudentVariant
from farzi.summary import Summary
from farzi.training import Trained, train_on_summary
from research.studies.bench import FIRST_SEED, Bench, Source
from research.studies.measures import Measure, OnHeldOut
from research.studies.recipes import rate_of
from research.studies.study import Demand, Job, Repeat
from research.studies.transfer import best_inner


class Training(Protocol):
    """Trains the student of each repetition; a frozen dataclass."""

    @property
    def recipe(self) -> Recipe:
        """Names the data."""
        ...

    @property
    def source(self) -> Source | None:
        """Where the data come from, if not from `recipe.data`."""
        ...

    def fit(self, bench: Bench, repeat: Repeat) -> tuple[Trained, dict[str, float]]:
        """The student of a repetition, and further figures of its training."""
        ...

    @property
    def demand(self) -> Demand:
        """What it needs."""
        ...


@dataclass(frozen=True)
class OnSummary:
    """A fresh student trained on a summary.

    Attributes:
        recipe: of the distillation.
        student: another one than the recipe's.
        inner: another training than the recipe's.
        among: trainings to try; the best on the validation events is used.
        source: where the data come from, if not from `recipe.data`.
    """

    recipe: Recipe
    student: StudentVariant | None = None
    inner: Inner | None = None
    among: tuple[Inner, ...] = ()
    source: Source | None = None

    def fit(self, bench: Bench, repeat: Repeat) -> tuple[Trained, dict[str, float]]:
        """See `Training`; the further figures are of the distillation."""
        dataset = bench.data(self.recipe.data, self.source, repeat.summary)
        summary = bench.summary(self.recipe, repeat.summary, dataset)
        tensors = summary.tensors.to(bench.device)
        student, inner = self.student or self.recipe.student, self.inner or self.recipe.inner
        if self.among:
            trials = trials_of(bench, dataset, student, self.recipe, self.recipe.teach)
            inner = bench.once((self, repeat.summary), lambda: best_inner(trials, tensors, self.among))
        trained = train_on_summary(tensors, student, inner, FIRST_SEED + repeat.number)
        return trained, {**distillation_figures(summary), "learning rate": rate_of(inner.optimizer)}

    @property
    def demand(self) -> Demand:
        """See `Training`."""
        return Demand(distil=(Job(self.recipe, self.source),))


def distillation_figures(summary: Summary) -> dict[str, float]:
    """Figures of a distillation: seconds, outer steps, size, norm of the metagradient, best validation."""
    history = summary.history
    norms = [line["metagradient_norm"]["median"] for line in history if line["metagradient_norm"]]
    best = [line for line in history if line["best"]]
    return {
        "distil seconds": float(summary.run["seconds"]),
        "outer steps": float(summary.run["outer_steps"]),
        "validation at start": _gain(history[0]) if history else math.nan,
        "best at step": float(best[-1]["outer_step"]) if best else math.nan,
        "KiB": summary.tensors.bytes / 1024,
        "metagradient norm": float(np.median(norms)) if norms else math.nan,
        "validation": _gain(best[-1]) if best else math.nan,
    }


def _gain(line: dict[str, Any]) -> float:
    """Mean ratio to the full data over the metrics that select a run's best summary."""
    gains = [
        metric_of(name).gain(ratio)
        for name, ratio in line["relative_to_full"].items()
        if metric_of(name).judged and ratio is not None
    ]
    return float(np.mean(gains)) if gains else math.nan


@dataclass(frozen=True)
class OnReal:
    """A fresh student trained on real events, with early stopping.

    Attributes:
        recipe: names the data, the student, the length of windows, the training, and a control's number of
            sequences.
        control: picks sequences; None takes all the training events.
        student: another one than the recipe's.
        teach: another training than the recipe's; its grid is tuned on the validation events.
        source: where the data come from, if not from `recipe.data`.
    """

    recipe: Recipe
    control: Control | None = None
    student: StudentVariant | None = None
    teach: Teach | None = None
    source: Source | None = None

    def fit(self, bench: Bench, repeat: Repeat) -> tuple[Trained, dict[str, float]]:
        """See `Training`."""
        dataset = bench.data(self.recipe.data, self.source, repeat.summary)
        student = self.student or self.recipe.student
        trials = trials_of(bench, dataset, student, self.recipe, self._teach)
        whole = self.control is None
        name = "full" if self.control is None else type(self.control).__name__.lower()
        begin, axes = (trials.baseline, AXES) if whole else (trials, ALONE)
        key = (replace(self, source=None), "tuning", self.source, repeat.summary if self.source else 0)
        tuned = bench.once(key, lambda: tune(begin, name, lambda seed: self.pick(dataset, seed), axes).trials)
        seed = FIRST_SEED + repeat.number
        trained = tuned.fit(self.pick(dataset, seed), seed)
        return trained, {"learning rate": tuned.rate, "training steps": float(trained.steps)}

    def pick(self, dataset: Data, seed: int) -> Sequences:
        """The sequences that are trained on."""
        if self.control is None:
            return dataset.train
        size = self.recipe.summary
        return self.control(dataset.pieces, size.length, size.sequences, np.random.default_rng(seed))

    @property
    def bearing(self) -> Mapping[str, Any]:
        """No setting of the distillation: the row stays valid when these change."""
        size = self.recipe.summary
        return {
            "data": self.recipe.data,
            "student": self.student or self.recipe.student,
            "length": size.length,
            "sequences": None if self.control is None else size.sequences,
            "seen": self.recipe.select.seen,
            "control": self.control,
            "teach": self._teach,
            "source": self.source,
        }

    @property
    def demand(self) -> Demand:
        """See `Training`."""
        one = (Job(self.recipe, self.source),)
        axes = AXES if self.control is None else ALONE
        return Demand(real=one, tuning=one * trainings_of(self._teach.grid, axes))

    @property
    def _teach(self) -> Teach:
        return self.teach or self.recipe.teach


def trials_of(bench: Bench, dataset: Data, student: StudentVariant, recipe: Recipe, teach: Teach) -> Trials:
    """Chooses a student's learning rate or training on the validation events; training is cached."""
    task = task_of(dataset, recipe.select.seen)

    def train(
        log: Sequences,
        student: StudentVariant,
        vocabulary: int,
        length: int,
        seed: int,
        teach: Teach,
        validate: Callable[[SequenceModel], float],
        device: torch.device | str,
        report: Report,
    ) -> Trained:
        key = {
            **training_facts(student, teach, length),
            "seed": seed,
            "task": {"name": task.name, **task.facts(length + 1)},
            "sequences": checksum(log),
            "data": fingerprint(dataset),
            "device": str(device),
        }
        return bench.trainings(
            key,
            lambda: train_on_events(log, student, vocabulary, length, seed, teach, validate, device, report),
        )

    return Trials(
        dataset,
        student,
        recipe.summary.length,
        task,
        recipe.compare.seeds,
        teach,
        FIRST_SEED,
        device=bench.device,
        train=train,
    )


@dataclass(frozen=True)
class Measured:
    """A student, trained and measured: the work of most rows.

    Attributes:
        training: how it is trained.
        measure: what is measured.
    """

    training: Training
    measure: Measure = field(default_factory=OnHeldOut)

    def __call__(self, bench: Bench, repeat: Repeat) -> dict[str, float]:
        """See `research.studies.Work`; `train seconds` are the student's alone."""
        trained, further = self.training.fit(bench, repeat)
        recipe = self.training.recipe
        dataset = bench.data(recipe.data, self.training.source, repeat.summary)
        seen: Seen = recipe.select.seen
        figures = self.measure(trained.model, dataset, seen)
        return {**figures, **further, "train seconds": trained.seconds}

    @property
    def demand(self) -> Demand:
        """See `research.studies.Work`."""
        return self.training.demand


@dataclass(frozen=True)
class Beside:
    """Several students in one row, each figure with the student's name before it: `full: HR@10`.

    Attributes:
        students: name and work of each.
    """

    students: tuple[tuple[str, Measured], ...]

    def __call__(self, bench: Bench, repeat: Repeat) -> dict[str, float]:
        """See `research.studies.Work`."""
        return {
            f"{name}: {figure}": value
            for name, work in self.students
            for figure, value in work(bench, repeat).items()
        }

    @property
    def demand(self) -> Demand:
        """See `research.studies.Work`."""
        whole = Demand()
        for _, work in self.students:
            whole += work.demand
        return whole
