"""A summary beside its controls, under the same evaluation.

Every student starts from fresh random weights. The controls are trained as one trains on real events: with
early stopping on the validation events and with the best of several learning rates, chosen on the validation
events too. They are

- full: the whole log or text;
- random and head: as many real sequences as the summary has, of the same length, from random and from the
  most active users; of a text random and the longest sentences;
- the same at equal bytes: as many as fit in the summary's bytes.

The learning rate chosen for the full data serves the subsets at equal bytes, which are of its order of size,
and the one chosen for the random sequences serves the head ones. The test events are looked at once, at the
end.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from farzi.baselines import Head, Random, Subset, bytes_per_event
from farzi.data import Data, Sequences
from farzi.evaluation.intervals import Interval, paired_ratio, seed_interval
from farzi.evaluation.kinds import Kind, kind_of
from farzi.evaluation.metrics import Figures, headlines, metric_of
from farzi.evaluation.ranking import Seen
from farzi.recipe import Recipe
from farzi.students import Student
from farzi.summary import Summary
from farzi.training import EventTraining, Trained, train_on_events, train_on_summary

Pick = Callable[[int], Sequences]
"""The training sequences for a seed."""


@dataclass(frozen=True)
class Effort:
    """How much work goes into a comparison.

    Attributes:
        seeds: trainings of each kind, with other first weights.
        rates: learning rates tried for training on real events, each once.
        training: the rest of that training.
        equal_bytes: whether the controls at equal bytes are trained too, the dearest part on a small log.
    """

    seeds: int = 5
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2)
    training: EventTraining = field(default_factory=EventTraining)
    equal_bytes: bool = True


@dataclass(frozen=True, eq=False)
class Measured:
    """One kind of training data, trained on and tested.

    Attributes:
        trained_on: "full", "summary", "random", "head", "random, equal bytes" or "head, equal bytes".
        sequences: how many sequences it has.
        bytes: what they take when stored.
        seconds: mean wall-clock seconds of a training.
        per_unit: each metric, (seeds, units): users of a log, passages of a text; see `evaluation.metrics`.
        learning_rate: the one used.
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


@dataclass(frozen=True, eq=False)
class Comparison:
    """All kinds of training data beside each other.

    Attributes:
        student: the architecture's name.
        kind: of the data; says what the figures are.
        window: events in a training window.
        measured: one entry a kind, "full" first.
        distilling: seconds that the distillation took; None where unknown.
    """

    student: str
    kind: Kind
    window: int
    measured: tuple[Measured, ...]
    distilling: float | None

    def of(self, trained_on: str) -> Measured:
        """The entry of that name."""
        return next(entry for entry in self.measured if entry.trained_on == trained_on)

    def share(self, trained_on: str, metric: str) -> float:
        """Ratio to the full data's figure; nan where that is 0."""
        whole = self.of("full").figures(metric).mean()
        return float(self.of(trained_on).figures(metric).mean() / whole) if whole > 0 else math.nan

    def relative(self, trained_on: str, metric: str) -> Interval:
        """The same ratio with its interval, a paired bootstrap over units and seeds; nan where that is 0."""
        ours, theirs = self.of(trained_on).per_unit[metric], self.of("full").per_unit[metric]
        return paired_ratio(ours, theirs, figure=metric_of(metric).figure)

    @property
    def headlines(self) -> tuple[str, ...]:
        """The metrics that people are shown."""
        return headlines(self.of("full").per_unit)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of results.json: one for each kind of training data and metric.

        mean, low and high are in `unit`: "%", or "" for a perplexity and the like; relative_to_full is a
        ratio, nan where the full data's figure is 0.
        """
        rows = []
        for entry in self.measured:
            for metric in entry.per_unit:
                named, figures = metric_of(metric), entry.figures(metric)
                mean, low, high = seed_interval(named.scaled(figures))
                rows.append(
                    {
                        "trained_on": entry.trained_on,
                        "student": self.student,
                        "sequences": entry.sequences,
                        "bytes": entry.bytes,
                        "metric": metric,
                        "unit": named.unit,
                        "mean": mean,
                        "low": low,
                        "high": high,
                        "seeds": len(figures),
                        "train_seconds": entry.seconds,
                        "relative_to_full": self.share(entry.trained_on, metric),
                    }
                )
        return rows

    @property
    def speedup(self) -> float:
        """How many times faster a training on the summary is than one on the full data."""
        return self.of("full").seconds / self.of("summary").seconds

    @property
    def break_even(self) -> float | None:
        """After how many trainings the distillation has paid for itself; None where never, or unknown."""
        saved = self.of("full").seconds - self.of("summary").seconds
        return None if self.distilling is None or saved <= 0 else self.distilling / saved


def compare(
    summary: Summary,
    dataset: Data,
    recipe: Recipe,
    *,
    effort: Effort = Effort(),
    seen: Seen = "keep",
    distilling: float | None = None,
    first_seed: int = 1000,
    progress: Callable[[str], None] = lambda what: None,
) -> Comparison:
    """Train and test students on the full data, the summary and the controls.

    Args:
        summary: the learnt sequences.
        dataset: the log or the text they were learnt from.
        recipe: how they were learnt; its student and inner loop are used.
        effort: seeds and tuning.
        seen: the treatment of seen items in the ranking; nothing to a text.
        distilling: seconds that the distillation took.
        first_seed: the students' seeds count up from here; distillation draws its own from elsewhere.
        progress: called with a word on what is being done.
    """
    vocabulary, length = len(dataset.vocabulary), summary.length
    seeds = [first_seed + k for k in range(effort.seeds)]

    kind = kind_of(dataset, seen)

    def validate(student: Student) -> float:
        return kind.score(student, dataset.valid)

    def test(trained: Sequence[Trained]) -> dict[str, np.ndarray]:
        return _stack([kind.evaluate(one.student, dataset.test) for one in trained])

    def fit(log: Sequences, rate: float, seed: int) -> Trained:
        training = replace(effort.training, learning_rate=rate)
        return train_on_events(log, recipe.student, vocabulary, length, seed, training, validate)

    def best_rate(name: str, pick: Pick) -> float:
        if len(effort.rates) == 1:
            return effort.rates[0]
        progress(f"{name}: choosing a learning rate")
        seed = first_seed - 1
        return max(effort.rates, key=lambda rate: validate(fit(pick(seed), rate, seed).student))

    def on_events(name: str, pick: Pick, rate: float) -> Measured:
        trained = []
        for seed in seeds:
            progress(f"{name}: training {len(trained) + 1} of {len(seeds)}")
            trained.append(fit(pick(seed), rate, seed))
        chosen = pick(seeds[0])
        size = len(chosen.items) * bytes_per_event(vocabulary)
        return Measured(name, len(chosen), size, _mean_seconds(trained), test(trained), rate)

    def on_summary() -> Measured:
        trained = []
        for seed in seeds:
            progress(f"summary: training {len(trained) + 1} of {len(seeds)}")
            trained.append(train_on_summary(summary, recipe.student, recipe.inner, seed))
        rate = recipe.inner.learning_rate
        return Measured(
            "summary", summary.sequences, summary.bytes, _mean_seconds(trained), test(trained), rate
        )

    def picker(subset: Subset, count: int) -> Pick:
        return lambda seed: subset(dataset.pieces, length, count, np.random.default_rng(seed))

    whole, few = (lambda seed: dataset.train), picker(Random(), summary.sequences)
    full_rate = best_rate("full", whole)
    measured = [on_events("full", whole, full_rate), on_summary()]
    few_rate = best_rate("random", few)
    measured.append(on_events("random", few, few_rate))
    measured.append(on_events("head", picker(Head(), summary.sequences), few_rate))
    if effort.equal_bytes:
        count = max(1, summary.bytes // (length * bytes_per_event(vocabulary)))
        measured.append(on_events("random, equal bytes", picker(Random(), count), full_rate))
        measured.append(on_events("head, equal bytes", picker(Head(), count), full_rate))
    return Comparison(recipe.student.name, kind, length, tuple(measured), distilling)


def _stack(figures: Sequence[Figures]) -> dict[str, np.ndarray]:
    return {name: np.stack([one.per_unit[name] for one in figures]) for name in figures[0].per_unit}


def _mean_seconds(trained: Sequence[Trained]) -> float:
    return float(np.mean([one.seconds for one in trained]))
