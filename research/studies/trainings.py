"""What students are trained on, and the row's work that is made of it: as values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from farzi.evaluation.controls import Subset
from farzi.data import Data, Sequences
from farzi.evaluation import Effort, Seen, task_of, metric_of
from farzi.evaluation.trials import Trials
from farzi.recipe import InnerSettings, Recipe, StudentSettings
from farzi.summary import Summary
from farzi.training import Trained, train_on_summary
from research.studies.bench import FIRST_SEED, Bench, Source
from research.studies.measures import Measure, OnHeldOut
from research.studies.study import Ask, Demand, Repeat


class Training(Protocol):
    """How a student comes about; a frozen dataclass."""

    @property
    def recipe(self) -> Recipe:
        """Names the data."""
        ...

    @property
    def source(self) -> Source | None:
        """Where the data come from, if not from `recipe.data`."""
        ...

    def fit(self, bench: Bench, repeat: Repeat) -> tuple[Trained, dict[str, float]]:
        """The student of a repetition, and what else is worth a figure."""
        ...

    @property
    def demand(self) -> Demand:
        """What it takes."""
        ...


@dataclass(frozen=True)
class OnSummary:
    """A fresh student trained on a summary.

    Attributes:
        recipe: of the distillation.
        student: another one than the recipe's.
        inner: another training than the recipe's.
        among: trainings that are tried, of which the best on the validation events is taken.
        source: where the data come from, if not from `recipe.data`.
    """

    recipe: Recipe
    student: StudentSettings | None = None
    inner: InnerSettings | None = None
    among: tuple[InnerSettings, ...] = ()
    source: Source | None = None

    def fit(self, bench: Bench, repeat: Repeat) -> tuple[Trained, dict[str, float]]:
        """See `Training`; the facts are of the distillation."""
        dataset = bench.data(self.recipe.data, self.source, repeat.summary)
        folder = bench.summary(self.recipe, repeat.summary, dataset)
        summary = folder.tensors.to(bench.device)
        student, inner = self.student or self.recipe.student, self.inner or self.recipe.inner
        if self.among:
            trials = trials_of(bench, dataset, student, self.recipe, Effort())
            inner = bench.once((self, repeat.summary), lambda: trials.best_inner(summary, self.among))
        trained = train_on_summary(summary, student, inner, FIRST_SEED + repeat.number)
        facts = {**distilled_facts(folder), "learning rate": inner.learning_rate}
        return trained, facts

    @property
    def demand(self) -> Demand:
        """See `Training`."""
        return Demand(distil=(Ask(self.recipe, self.source),))


def distilled_facts(folder: Summary) -> dict[str, float]:
    """Figures of a distillation: seconds, outer steps, size, norm of the metagradient, best validation."""
    norms = [line["metagradient_norm"]["median"] for line in folder.history if line["metagradient_norm"]]
    best = [line for line in folder.history if line["best"]]
    return {
        "distil seconds": float(folder.run["seconds"]),
        "outer steps": float(folder.run["outer_steps"]),
        "validation at start": _gain(folder.history[0]) if folder.history else math.nan,
        "best at step": float(best[-1]["outer_step"]) if best else math.nan,
        "KiB": folder.tensors.bytes / 1024,
        "metagradient norm": float(np.median(norms)) if norms else math.nan,
        "validation": _gain(best[-1]) if best else math.nan,
    }


def _gain(line: dict[str, Any]) -> float:
    """Mean gain over the full data of the judged metrics, as it chooses the best summary of a run."""
    gains = [
        metric_of(name).gain(ratio)
        for name, ratio in line["relative_to_full"].items()
        if metric_of(name).judged and ratio is not None
    ]
    return float(np.mean(gains)) if gains else math.nan


@dataclass(frozen=True)
class OnReal:
    """A fresh student trained on real events until the validation gets no better.

    Attributes:
        recipe: names the data, the student, the length of windows and how many sequences a subset has.
        subset: picks sequences; None takes all the training events.
        student: another one than the recipe's.
        effort: learning rates tried on the validation events, and the rest of the training.
        source: where the data come from, if not from `recipe.data`.
    """

    recipe: Recipe
    subset: Subset | None = None
    student: StudentSettings | None = None
    effort: Effort = field(default_factory=Effort)
    source: Source | None = None

    def fit(self, bench: Bench, repeat: Repeat) -> tuple[Trained, dict[str, float]]:
        """See `Training`."""
        dataset = bench.data(self.recipe.data, self.source, repeat.summary)
        student = self.student or self.recipe.student
        trials = trials_of(bench, dataset, student, self.recipe, self.effort)
        name = "full" if self.subset is None else type(self.subset).__name__.lower()
        key = (replace(self, source=None), "rate", self.source, repeat.summary if self.source else 0)
        rate = bench.once(key, lambda: trials.best_rate(name, lambda seed: self.pick(dataset, seed)))
        seed = FIRST_SEED + repeat.number
        trained = trials.fit(self.pick(dataset, seed), rate, seed)
        return trained, {"learning rate": rate, "training steps": float(trained.steps)}

    def pick(self, dataset: Data, seed: int) -> Sequences:
        """The sequences that are trained on."""
        if self.subset is None:
            return dataset.train
        size = self.recipe.summary
        return self.subset(dataset.pieces, size.length, size.sequences, np.random.default_rng(seed))

    @property
    def bearing(self) -> Mapping[str, Any]:
        """Nothing of what the recipe says of distillation: a row stays what it is when that changes."""
        size = self.recipe.summary
        return {
            "data": self.recipe.data,
            "student": self.student or self.recipe.student,
            "length": size.length,
            "sequences": None if self.subset is None else size.sequences,
            "seen": self.recipe.outer.seen,
            "subset": self.subset,
            "effort": self.effort,
            "source": self.source,
        }

    @property
    def demand(self) -> Demand:
        """See `Training`."""
        one, rates = (Ask(self.recipe, self.source),), len(self.effort.rates)
        return Demand(real=one, tuning=one * rates if rates > 1 else ())


def trials_of(
    bench: Bench, dataset: Data, student: StudentSettings, recipe: Recipe, effort: Effort
) -> Trials:
    """The choosing of learning rates for a student, by the validation events."""
    kind, length = task_of(dataset, recipe.outer.seen), recipe.summary.length
    return Trials(
        dataset,
        student,
        length,
        kind,
        effort,
        FIRST_SEED,
        lambda what: None,
        bench.device,
        bench.trainings,
    )


@dataclass(frozen=True)
class Measured:
    """A student, trained and measured: the work of most rows.

    Attributes:
        training: how it comes about.
        measure: what is measured.
    """

    training: Training
    measure: Measure = field(default_factory=OnHeldOut)

    def __call__(self, bench: Bench, repeat: Repeat) -> dict[str, float]:
        """See `research.studies.Work`; `train seconds` are the student's alone."""
        trained, facts = self.training.fit(bench, repeat)
        recipe = self.training.recipe
        dataset = bench.data(recipe.data, self.training.source, repeat.summary)
        seen: Seen = recipe.outer.seen
        figures = self.measure(trained.model, dataset, seen)
        return {**figures, **facts, "train seconds": trained.seconds}

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
