"""Confirmation: settings that a search chose are trained on the full data, beside the recipe's own.

Chosen by the validation events, reported on the test events.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from farzi.data import Data
from farzi.distillation import Cache
from farzi.distillation.teach import FullTraining, Outcome, train_on_full_data
from farzi.errors import FarziError
from farzi.evaluation import Interval, task_of
from farzi.evaluation.intervals import paired_difference
from farzi.evaluation.metrics import Metric
from farzi.files import locked
from farzi.progress import Progress
from farzi.recipe import Recipe

OWN = "recipe's own"


@dataclass(frozen=True)
class Candidate:
    """Settings to train on the full data.

    Attributes:
        name: of the row: "recipe's own", "trial 17", "halving", "random".
        recipe: with these settings.
        settings: those that differ, by path.
        trial: its number in the search; None for the recipe's own setting and those of controls.
        figure: on the summary, of the validation events; None for those of controls.
    """

    name: str
    recipe: Recipe
    settings: dict[str, Any]
    trial: int | None = None
    figure: float | None = None


@dataclass(frozen=True)
class Confirmed:
    """Settings that were trained on the full data.

    Attributes:
        name: as of the candidate.
        settings: as of the candidate.
        trial: as of the candidate.
        summary: the figure on the summary, of the validation events.
        valid: the mean figure of the full-data models on the validation events.
        test: the same on the test events.
        gain: of the test figure over the recipe's own, with its paired 95 % interval over users and seeds;
            above 0 is better, also of a metric that is better when lower.
        seconds: of one training.
    """

    name: str
    settings: dict[str, Any]
    trial: int | None
    summary: float | None
    valid: float
    test: float
    gain: Interval
    seconds: float


@dataclass(frozen=True)
class Confirmation:
    """The full-data trainings of candidates, the recipe's own setting first. Processes share them by locks.

    Attributes:
        candidates: what is trained.
        data: the log or text.
        metric: of the figures.
        seeds: trainings of each candidate.
        cache: of full-data trainings, with a folder.
        device: where they are trained.
    """

    candidates: tuple[Candidate, ...]
    data: Data
    metric: Metric
    seeds: int
    cache: Cache
    device: str = "cpu"

    @cached_property
    def trainings(self) -> list[tuple[Candidate, FullTraining]]:
        """All trainings, seed by seed."""
        return [(one, self._training(one, number)) for number in range(self.seeds) for one in self.candidates]

    @property
    def missing(self) -> int:
        """How many trainings are not in the cache."""
        return len(self.trainings) - self.cache.present([one for _, one in self.trainings], self.data)

    def work(self, between: Callable[[], None]) -> None:
        """Train what is not in the cache and what no other process trains, then wait for those."""
        for wait in (False, True):
            for candidate, training in self.trainings:
                path = self.cache.path(training, self.data)
                assert path is not None
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with suppress(_Busy), _mine(path, wait):
                        self._outcome(candidate, training)
                between()

    def results(self) -> tuple[Confirmed, ...]:
        """The figures of all candidates; trains what is missing."""
        task = task_of(self.data, self.candidates[0].recipe.select.seen)
        units: dict[str, list[np.ndarray]] = {}
        outcomes: dict[str, list[Outcome]] = {}
        for candidate, training in self.trainings:
            outcome = self._outcome(candidate, training)
            figures = task.evaluate(outcome.model, self.data.test).per_unit[self.metric.name]
            outcomes.setdefault(candidate.name, []).append(outcome)
            units.setdefault(candidate.name, []).append(figures)
        own = np.stack(units[self.candidates[0].name])
        return tuple(
            _confirmed(one, outcomes[one.name], np.stack(units[one.name]), own, self.metric)
            for one in self.candidates
        )

    def _training(self, one: Candidate, number: int) -> FullTraining:
        recipe = one.recipe
        seed = recipe.seed + number  # the first is that of the distillation's first teacher
        return FullTraining(recipe.full_model, recipe.teach, recipe.full_length, seed, recipe.select.seen)

    def _outcome(self, one: Candidate, training: FullTraining) -> Outcome:
        train = partial(train_on_full_data, training, self.data, self.device, Progress(), one.name)
        return self.cache.get(training, self.data, self.device, train)


class _Busy(Exception):
    """Another process trains this."""


class _mine:
    """The lock of a training; raises `_Busy` where another process holds it, and waits for it if asked to."""

    def __init__(self, path: Any, wait: bool) -> None:
        self.lock = locked(path, wait)

    def __enter__(self) -> None:
        try:
            self.lock.__enter__()
        except FarziError:
            raise _Busy from None

    def __exit__(self, *error: Any) -> bool | None:
        return self.lock.__exit__(*error)


def _confirmed(
    one: Candidate, outcomes: list[Outcome], test: np.ndarray, own: np.ndarray, metric: Metric
) -> Confirmed:
    better, worse = (test, own) if metric.sign > 0 else (own, test)
    same = np.array_equal(test, own)
    gain = Interval(0.0, 0.0, 0.0) if same else paired_difference(better, worse, metric.figure)
    return Confirmed(
        one.name,
        one.settings,
        one.trial,
        one.figure,
        float(np.mean([outcome.figures[metric.name] for outcome in outcomes])),
        float(np.mean(metric.figure(test.mean(1)))),
        gain,
        float(np.mean([outcome.seconds for outcome in outcomes])),
    )


def rank_agreement(rows: Sequence[Confirmed], metric: Metric) -> float | None:
    """Kendall's τ between summary and full data over validation figures; None of fewer than four."""
    pairs = [(row.summary, row.valid) for row in rows if row.summary is not None]
    if len(pairs) < 4:
        return None
    from scipy.stats import kendalltau

    result: Any = kendalltau(*zip(*pairs))
    return None if np.isnan(result.statistic) else float(result.statistic)
