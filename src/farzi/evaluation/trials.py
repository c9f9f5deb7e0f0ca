"""Trainings of one architecture on several kinds of data, under the same evaluation.

Training on real events is tuned on the validation data: early stopping and the learning rate. The test data
are used once, after the last training of a kind.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from farzi.data import Data, Sequences
from farzi.data.fingerprint import checksum
from farzi.evaluation.controls import Control, Teachers, bytes_per_event
from farzi.evaluation.controls.labelled import label_windows, labelled_bytes, labels_kept, train_on_labelled
from farzi.evaluation.kept import Kept, Measured
from farzi.evaluation.metrics import metric_of
from farzi.evaluation.tasks import Task, sample, validation_line
from farzi.event_training import train_on_events, training_facts
from farzi.models import SequenceModel
from farzi.recipe import Inner, Teach
from farzi.recipe.variants import StudentVariant
from farzi.summary import SummaryTensors
from farzi.training import Trained, train_on_summary

Pick = Callable[[int], Sequences]
"""The training sequences for a seed."""

Fit = tuple[dict[str, Any], Callable[[], Trained]]
"""A training, and what it depends on, as JSON values, besides the seed and what all trainings depend on."""


@dataclass(frozen=True, eq=False)
class Result:
    """Models trained on one kind of data, and their test figures.

    Attributes:
        trained_on: "full", "summary", a control ("random", "random, equal bytes", ...), or another row.
        sequences: number of training sequences.
        events: events in them; positions of a summary.
        bytes: their stored size.
        seconds: mean wall-clock seconds of a training.
        per_unit: each metric, (seeds, units); units are users of a log, passages of a text. What takes no
            training has one seed.
        learning_rate: of the training; 0 of what takes none.
    """

    trained_on: str
    sequences: int
    events: int
    bytes: int
    seconds: float
    per_unit: dict[str, np.ndarray]
    learning_rate: float = 0.0

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
        progress: called with a line of text before each training that is not kept.
        device: where models are trained on real events; on a summary they are trained where that is.
        train: `train_on_events`, or a function in its place that returns what was trained before.
        passing: called with a line of text after each validation.
        kept: trainings that were finished before.
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
    kept: Kept = field(default_factory=Kept)

    def whole(self, seed: int) -> Sequences:
        """All training events, whatever the seed."""
        return self.dataset.train

    @property
    def baseline(self) -> "Trials":
        """The same for full-data models: their architecture and their history."""
        return replace(
            self,
            student=self.teach.model or self.student,
            length=max(self.teach.length or 0, self.length),
        )

    @property
    def rate(self) -> float:
        """The learning rate of trainings on real events; 0 if their optimizer has none."""
        return float(self.teach.optimizer.own.get("learning_rate", 0.0))

    @property
    def training(self) -> dict[str, Any]:
        """What a training on real events depends on besides its events and its seed, as JSON values."""
        return training_facts(self.student, self.teach, self.length)

    def summary_training(self, inner: Inner) -> dict[str, Any]:
        """Likewise of a training on a summary."""
        student, settings = self.student.model_dump(mode="json"), inner.model_dump(mode="json")
        return {"student": student, "inner": settings, "length": self.length}

    def on_events(self, name: str, pick: Pick, teachers: Teachers | None = None) -> Result:
        """Train on real sequences, against the mean prediction of `teachers` if given, and test."""
        chosen = pick(self.first_seed)

        def fit(seed: int) -> Fit:
            log = pick(seed)
            key = {**self.training, "events": checksum(log), "teachers": teachers and teachers.key}
            return key, lambda: self.fit(log, seed, teachers)

        return self._trained(name, self._size(chosen), self.rate, fit)

    def on_summary(
        self, name: str, inner: Inner, like: SummaryTensors, key: str, make: Callable[[], SummaryTensors]
    ) -> Result:
        """Train on a summary, and test.

        Args:
            name: of the row.
            inner: the training.
            like: a summary of the same size.
            key: what determines the summary.
            make: gives the summary; called only where a training is not kept.
        """
        size = like.sequences, like.sequences * like.length, like.bytes

        def fit(seed: int) -> Fit:
            depends = {**self.summary_training(inner), "summary": key}
            return depends, lambda: train_on_summary(make(), self.student, inner, seed)

        return self._trained(name, size, rate_of(inner), fit)

    def on_labelled(self, name: str, pick: Pick, keep: int, teachers: Teachers, inner: Inner) -> Result:
        """Train on real windows with the teachers' stored labels, as on a summary, and test."""
        chosen, vocabulary = pick(self.first_seed), len(self.dataset.vocabulary)
        sequences, events, _ = self._size(chosen)
        size = sequences, events, int(labelled_bytes(chosen.lengths, vocabulary, keep).sum())

        def fit(seed: int) -> Fit:
            windows = pick(seed)

            def train() -> Trained:
                data = label_windows(windows, self.length, teachers, keep)
                return train_on_labelled(data, vocabulary, self.student, inner, seed)

            labels = {"labelled": checksum(windows), "keep": keep, "teachers": teachers.key}
            return {**self.summary_training(inner), **labels}, train

        return self._trained(name, size, rate_of(inner), fit)

    def of_teachers(self, name: str, teachers: Sequence[Teachers]) -> Result:
        """Test models that were trained on the full data, each one, or each ensemble, as a seed."""

        def work(one: Teachers) -> Callable[[], Measured]:
            return lambda: self._tested(one, one.seconds * len(one.models))

        jobs = [
            ({"teachers": one.key, "of": len(one.models), "number": number}, work(one))
            for number, one in enumerate(teachers)
        ]
        return _result(name, self._size(self.dataset.train), 0.0, self.kept.several(jobs))

    def on_counts(self, name: str, counts: Callable[[Sequences, int, int], Any]) -> Result:
        """Count the training events, without any training, and test; there is one figure for all seeds.

        `counts` gives one model, or several, one after the other: the best on the validation data is tested.
        """
        log = self.dataset.train

        def work() -> Measured:
            start = time.perf_counter()
            best: Any = counts(log, len(self.dataset.vocabulary), self.length - 1)
            if isinstance(best, Iterator):
                candidates, best, top = best, None, -math.inf
                for model in candidates:
                    if (score := self.task.score(model, self.dataset.valid)) > top:
                        best, top = model, score
            seconds = time.perf_counter() - start
            return {"bytes": np.array([best.bytes]), **self._tested(best, seconds)}

        [found] = self.kept.several([({"counts": name, "length": self.length}, work)])
        size = len(log), len(log.items), int(found["bytes"][0])
        return _result(name, size, 0.0, [{key: value for key, value in found.items() if key != "bytes"}])

    def picker(self, control: Control, count: int) -> Pick:
        """`count` real sequences, picked again for each seed."""
        return lambda seed: control(self.dataset.pieces, self.length, count, np.random.default_rng(seed))

    def filler(self, control: Control, size: int) -> Pick:
        """As many real sequences as fit in `size` bytes, one at least, picked again for each seed.

        Bytes are those of labels, too, where the control has an attribute `keep`.
        """
        each = self.bytes_of(control)

        def pick(seed: int) -> Sequences:
            count = max(1, size // int(each(np.array([self.length]))[0]))
            while True:
                chosen = self.picker(control, count)(seed)
                total = np.cumsum(each(chosen.lengths))
                if total[-1] >= size or len(chosen) < count:
                    return chosen.select(np.arange(max(1, np.searchsorted(total, size, side="right"))))
                count = math.ceil(1.1 * count * size / total[-1])  # some are shorter than `length`

        return pick

    def bytes_of(self, control: Control) -> Callable[[np.ndarray], np.ndarray]:
        """Stored bytes of a control's sequences, by their lengths (n,)."""
        vocabulary, keep = len(self.dataset.vocabulary), labels_kept(control)
        return lambda lengths: labelled_bytes(lengths, vocabulary, keep)

    def fit(self, log: Sequences, seed: int, teachers: Teachers | None = None) -> Trained:
        """Train on real sequences, with early stopping on the validation data."""
        size, teach, held = len(self.dataset.vocabulary), self.teach, sample(self.dataset.valid, self.teach)

        def score(model: SequenceModel) -> float:
            return self.task.score(model, held)

        def report(step: int, score: float, left: float) -> None:
            self.passing(validation_line(self.task, step, score, left))

        settings = (self.student, size, self.length, seed, teach, score, self.device)
        labels: dict[str, Any] = {} if teachers is None else {"loss_of": teachers.loss_of}
        return self.train(log, *settings, report=report, **labels)

    def _size(self, log: Sequences) -> tuple[int, int, int]:
        """Sequences, events and bytes."""
        return len(log), len(log.items), len(log.items) * bytes_per_event(len(self.dataset.vocabulary))

    def _trained(
        self, name: str, size: tuple[int, int, int], rate: float, fit: Callable[[int], Fit]
    ) -> Result:
        """Train with each seed, then test."""
        jobs = []
        for number, seed in enumerate(range(self.first_seed, self.first_seed + self.seeds), 1):
            key, train = fit(seed)

            def work(train: Callable[[], Trained] = train, number: int = number) -> Measured:
                self.progress(f"{name}: training {number} of {self.seeds}")
                trained = train()
                return self._tested(trained.model, trained.seconds)

            jobs.append(({**key, "seed": seed}, work))
        return _result(name, size, rate, self.kept.several(jobs))

    def _tested(self, model: Any, seconds: float) -> Measured:
        """The test figures of a model per unit, and the seconds that it took."""
        return {"seconds": np.array([seconds]), **self.task.evaluate(model, self.dataset.test).per_unit}


def _result(name: str, size: tuple[int, int, int], rate: float, tested: list[Measured]) -> Result:
    """A row from what each of its trainings gave."""
    per_unit = {metric: np.stack([one[metric] for one in tested]) for metric in tested[0]}
    seconds = per_unit.pop("seconds")
    return Result(name, *size, float(seconds.mean()), per_unit, rate)


def rate_of(inner: Inner) -> float:
    """The learning rate of a training on a summary; 0 if its optimizer has none."""
    return float(inner.optimizer.own.get("learning_rate", 0.0))
