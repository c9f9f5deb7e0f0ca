"""Trainings of one architecture on several kinds of data, under the same evaluation.

Training on real events is tuned on the validation data: early stopping and the learning rate. The test data
are used once, after the last training of a kind.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from farzi.data import Data, Sequences
from farzi.evaluation.controls import Control, bytes_per_event
from farzi.evaluation.metrics import metric_of
from farzi.evaluation.tasks import Task, sample
from farzi.event_training import train_on_events
from farzi.models import SequenceModel
from farzi.progress import time_left
from farzi.recipe import Inner, Teach
from farzi.recipe.variants import StudentVariant
from farzi.summary import SummaryTensors
from farzi.training import Trained, train_on_summary

Pick = Callable[[int], Sequences]
"""The training sequences for a seed."""


@dataclass(frozen=True, eq=False)
class Result:
    """Models trained on one kind of data, and their test figures.

    Attributes:
        trained_on: "full", "summary", or a control: "random", "head", ..., "random, equal bytes", ...,
            "popularity", "successors", "unigram", "bigram".
        sequences: number of training sequences.
        bytes: their stored size.
        seconds: mean wall-clock seconds of a training.
        per_unit: each metric, (seeds, units); units are users of a log, passages of a text. Counts have one
            seed.
        learning_rate: of the training; 0 of counts, which take none.
    """

    trained_on: str
    sequences: int
    bytes: int
    seconds: float
    per_unit: dict[str, np.ndarray]
    learning_rate: float

    def figures(self, metric: str) -> np.ndarray:
        """The figure of each seed, (seeds,)."""
        return metric_of(metric).figure(self.per_unit[metric].mean(1))


@dataclass(frozen=True)
class Trials:
    """One architecture, and how it is trained and tested.

    Attributes:
        dataset: the log or the text.
        student: the architecture.
        length: events in a training window.
        task: of the data; it defines the evaluation.
        seeds: trainings on each kind of data.
        teach: the training on real events, and what is tuned.
        first_seed: seeds count up from here; learning rates are tuned with the seed before it.
        progress: called with a line of text before each training.
        device: where models are trained on real events; on a summary they are trained where that is.
        train: `train_on_events`, or a function in its place that returns what was trained before.
        passing: called with a line of text after each validation.
    """

    dataset: Data
    student: StudentVariant
    length: int
    task: Task
    seeds: int
    teach: Teach
    first_seed: int = 1000
    progress: Callable[[str], None] = lambda text: None
    device: torch.device | str = "cpu"
    train: Callable[..., Trained] = train_on_events
    passing: Callable[[str], None] = lambda text: None

    def on_full_data(self) -> Result:
        """Train on the whole log or text at the best learning rate, and test."""

        def whole(seed: int) -> Sequences:
            return self.dataset.train

        model, length = self.teach.model or self.student, self.teach.length or self.length
        trials = replace(self, student=model, length=length)
        return trials.on_events("full", whole, trials.best_rate("full", whole))

    def best_rate(self, name: str, pick: Pick) -> float:
        """The learning rate of `teach.grid` with the best validation score."""
        rates, seed = self.teach.grid.learning_rate, self.first_seed - 1
        if len(rates) == 1:
            return rates[0]

        def score(rate: float) -> float:
            self.progress(f"{name}: choosing a learning rate, {rates.index(rate) + 1} of {len(rates)}")
            return self._validate(self.fit(pick(seed), rate, seed).model)

        return max(rates, key=score)

    def on_events(self, name: str, pick: Pick, rate: float) -> Result:
        """Train on real sequences, and test."""
        chosen = pick(self.first_seed)
        size = len(chosen.items) * bytes_per_event(len(self.dataset.vocabulary))
        return self._test(name, len(chosen), size, rate, lambda seed: self.fit(pick(seed), rate, seed))

    def on_summary(self, summary: SummaryTensors, inner: Inner) -> Result:
        """Train on a summary, and test."""
        rate = float(inner.optimizer.own.get("learning_rate", 0.0))
        return self._test(
            "summary",
            summary.sequences,
            summary.bytes,
            rate,
            lambda seed: train_on_summary(summary, self.student, inner, seed),
        )

    def on_counts(self, name: str, counts: Callable[[Sequences, int, int], Any]) -> Result:
        """Count the training events, without any training, and test; there is one figure for all seeds."""
        start = time.perf_counter()
        log = self.dataset.train
        model = counts(log, len(self.dataset.vocabulary), self.length - 1)
        seconds = time.perf_counter() - start
        found = self.task.evaluate(model, self.dataset.test).per_unit
        per_unit = {metric: values[None] for metric, values in found.items()}
        return Result(name, len(log), model.bytes, seconds, per_unit, 0.0)

    def picker(self, control: Control, count: int) -> Pick:
        """`count` real sequences, picked again for each seed."""
        return lambda seed: control(self.dataset.pieces, self.length, count, np.random.default_rng(seed))

    def fit(self, log: Sequences, rate: float, seed: int) -> Trained:
        """Train on real sequences at a learning rate, with early stopping on the validation data."""
        optimizer = self.teach.optimizer.model_copy(update={"learning_rate": rate})
        teach = self.teach.model_copy(update={"optimizer": optimizer})
        size = len(self.dataset.vocabulary)
        settings = (self.student, size, self.length, seed, teach, self._validate, self.device)
        begun = time.monotonic()

        def report(step: int, score: float) -> None:
            left = time_left(begun, step, teach.max_steps)
            self.passing(f"step {step}, validation {self.task.score_text(score)}, at most {left} left")

        return self.train(log, *settings, report=report)

    def _validate(self, model: SequenceModel) -> float:
        return self.task.score(model, sample(self.dataset.valid, self.teach))

    def _test(
        self, name: str, sequences: int, size: int, rate: float, fit: Callable[[int], Trained]
    ) -> Result:
        """Train with each seed, then test."""
        trained: list[Trained] = []
        for seed in range(self.first_seed, self.first_seed + self.seeds):
            self.progress(f"{name}: training {len(trained) + 1} of {self.seeds}")
            trained.append(fit(seed))
        tested = [self.task.evaluate(one.model, self.dataset.test).per_unit for one in trained]
        per_unit = {metric: np.stack([one[metric] for one in tested]) for metric in tested[0]}
        seconds = float(np.mean([one.seconds for one in trained]))
        return Result(name, sequences, size, seconds, per_unit, rate)
