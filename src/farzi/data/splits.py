"""Splits: rules that assign each event to training, validation or test.

For each user the parts follow each other in time: training, validation, test.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from farzi.data.sorting import SortedEvents
from farzi.errors import FarziError

TRAIN, VALID, TEST = 0, 1, 2


class Split(Protocol):
    """A rule that splits a log."""

    def parts(self, log: SortedEvents) -> np.ndarray:
        """TRAIN, VALID or TEST for each event: int8, (n,)."""
        ...

    def __str__(self) -> str:
        """The rule in words."""
        ...


@dataclass(frozen=True)
class LeaveOneOut:
    """The last event of each user is the test, the one before it the validation; users of fewer than 3
    events are only trained on.

    Attributes:
        valid_users: so many users, drawn by a fixed seed, have a validation event; all if None. That of the
            others is trained on, and is in their history in the test.
    """

    valid_users: int | None = None

    def parts(self, log: SortedEvents) -> np.ndarray:
        one = np.ones_like(log.lengths)
        if self.valid_users is None:
            return _from_end(log, one, one)
        able = np.flatnonzero(log.lengths >= 3)
        drawn = np.random.default_rng(0).permutation(able)[: self.valid_users]
        valid = np.zeros_like(one)
        valid[drawn] = 1
        return _from_end(log, valid, one)

    def __str__(self) -> str:
        whose = "the" if self.valid_users is None else f"{self.valid_users:,} users'"
        return f"leave one out: each user's last event is the test, {whose} one before it the validation"


@dataclass(frozen=True)
class _Shares:
    valid: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        if not (0 < self.valid < 1 and 0 < self.test < 1 and self.valid + self.test < 1):
            raise FarziError(
                "data.split.valid and data.split.test must be above 0 and together below 1, "
                f"got {self.valid:g}, {self.test:g}"
            )


class UserRatio(_Shares):
    """The last share of each user's events is the test, the share before it the validation.

    Of n >= 3 events max(1, floor(n test)) are the test and max(1, floor(n valid)) the validation, but one is
    left for training; users of fewer than 3 events are only trained on.
    """

    def parts(self, log: SortedEvents) -> np.ndarray:
        n = log.lengths
        test = np.clip(np.floor(n * self.test + 1e-9), 1, np.maximum(1, n - 2)).astype(np.int64)
        valid = np.clip(np.floor(n * self.valid + 1e-9), 1, np.maximum(1, n - 1 - test)).astype(np.int64)
        return _from_end(log, valid, test)

    def __str__(self) -> str:
        return (
            f"ratio: each user's last {self.test:.3g} of events is the test, "
            f"the {self.valid:.3g} before it the validation"
        )


class GlobalTime(_Shares):
    """Two points in time cut the whole log: the test starts at the second, the validation at the first.

    The test starts so that it has the share `test` of all events, the validation so that it has the share
    `valid`. Events at the time of a cut belong to the later part: no training event is as late as a held-out
    one. A log without times cannot be split so: FarziError.
    """

    def parts(self, log: SortedEvents) -> np.ndarray:
        if log.time is None:
            raise FarziError(
                "the split by time needs times, and the log has none; give its time column as data.time"
            )
        ordered = np.sort(log.time)
        test_from = ordered[-max(1, math.floor(len(log) * self.test + 1e-9))]
        before = ordered[ordered < test_from]
        valid = min(len(before), max(1, math.floor(len(log) * self.valid + 1e-9)))
        valid_from = before[-valid] if valid else test_from
        return (log.time >= valid_from).astype(np.int8) + (log.time >= test_from)

    def __str__(self) -> str:
        return (
            f"time: the last {self.test:.3g} of all events is the test, "
            f"the {self.valid:.3g} before it the validation"
        )


def _from_end(log: SortedEvents, valid: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The last `test` events of each user, and the `valid` before them; (users,) each."""
    long = log.lengths >= 3
    valid, test = valid * long, test * long
    counts = np.stack([log.lengths - valid - test, valid, test], axis=1)
    return np.repeat(np.tile(np.array([TRAIN, VALID, TEST], np.int8), len(counts)), counts.ravel())
