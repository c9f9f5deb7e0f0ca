"""Measurements of a trained student, as values."""

import itertools
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from farzi.data import Data, Holdout, Log, Passages
from farzi.evaluation import Evaluation, Seen, evaluate_ranking, task_of
from farzi.models import SequenceModel

GLANCE = 50_000
"""Training tokens of a text on which a student is measured."""


class Measure(Protocol):
    """Measures a student; a frozen dataclass."""

    def __call__(self, student: SequenceModel, dataset: Data, seen: Seen) -> dict[str, float]:
        """The figures by name."""
        ...


@dataclass(frozen=True)
class OnHeldOut:
    """The test events or text."""

    def __call__(self, student: SequenceModel, dataset: Data, seen: Seen) -> dict[str, float]:
        """HR@k, nDCG@k, MRR and AUC of a log; perplexity, accuracy and bits per byte of a text."""
        return task_of(dataset, seen).evaluate(student, dataset.test).means()


@dataclass(frozen=True)
class Gap:
    """The test events, the training events, and the difference.

    In a log each user's last training event is ranked from those before it. A student of the full data was
    trained on these events; one of a summary was not.
    """

    def __call__(self, student: SequenceModel, dataset: Data, seen: Seen) -> dict[str, float]:
        """As `OnHeldOut`; the same on training events as `training: ...`; the difference as `gap: ...`."""
        kind = task_of(dataset, seen)
        test = kind.evaluate(student, dataset.test).means()
        training = kind.evaluate(student, trained_on(dataset)).means()
        return {
            **test,
            **{f"training: {name}": figure for name, figure in training.items()},
            **{f"gap: {name}": figure - test[name] for name, figure in training.items()},
        }


def trained_on(dataset: Data) -> Holdout | Passages:
    """Training events as if held out: each user's last one of a log, the first tokens of a text."""
    if not isinstance(dataset, Log):
        offsets = np.minimum(dataset.train.offsets, GLANCE)
        count = int(np.searchsorted(offsets, GLANCE))
        whole = dataset.train.select(np.arange(min(max(1, count), len(dataset.train)))).last(GLANCE)
        return Passages(whole, dataset.test.start, None)  # the bytes of these tokens are unknown
    train = dataset.train
    users_with_history = np.flatnonzero(train.lengths >= 2)
    lists = [train[int(user)] for user in users_with_history]
    users = None if train.users is None else tuple(train.users[int(user)] for user in users_with_history)
    histories = type(train).from_lists([one[:-1] for one in lists], users)
    return Holdout(histories, type(train).from_lists([one[-1:] for one in lists], users))


@dataclass(frozen=True)
class ByGroup:
    """Hit rates of users and items by their number of training events.

    Attributes:
        users: lower bounds of the groups of users, in training events, ascending.
        items: the same for the held-out item.
        figure: the metric.
    """

    users: tuple[int, ...] = (10, 20, 50, 100, 200)
    items: tuple[int, ...] = (1, 5, 20, 50, 100, 200)
    figure: str = "HR@100"

    def __call__(self, student: SequenceModel, dataset: Data, seen: Seen) -> dict[str, float]:
        """As `OnHeldOut`, and `user 10-19: HR@100`, `item 200+: HR@100`, ... of groups that are not empty."""
        if not isinstance(dataset, Log):
            raise TypeError("a text has no users")
        figures = evaluate_ranking(student, dataset.test, seen)
        counts = np.bincount(dataset.train.items, minlength=len(dataset.vocabulary))
        targets = dataset.test.targets
        first = targets.items[targets.offsets[:-1]]
        return {
            **figures.means(),
            **self._groups("user", self.users, dataset.test.histories.lengths, figures),
            **self._groups("item", self.items, counts[first], figures),
        }

    def _groups(
        self, what: str, bounds: tuple[int, ...], sizes: np.ndarray, figures: Evaluation
    ) -> dict[str, float]:
        values, place = figures.per_unit[self.figure], np.searchsorted(bounds, sizes, side="right")
        groups = {}
        for group, name in enumerate(group_names(bounds)):
            members = place == group
            if members.any():
                groups[f"{what} {name}: {self.figure}"] = float(values[members].mean())
                groups[f"{what} {name}: share of users"] = float(members.mean())
        return groups


def group_names(bounds: tuple[int, ...]) -> tuple[str, ...]:
    """`("0-9", "10-19", "20+")` for the bounds 10 and 20."""
    pairs = itertools.pairwise((0, *bounds))
    names = [f"{low}" if high == low + 1 else f"{low}-{high - 1}" for low, high in pairs]
    return (*names, f"{bounds[-1]}+")
