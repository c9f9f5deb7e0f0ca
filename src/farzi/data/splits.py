"""What is held out, as values: each split says of every event whether it is for training, validation or test.

Within a user the parts always follow each other in time: training, then validation, then test.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from farzi.data.order import Log
from farzi.errors import FarziError

TRAIN, VALID, TEST = 0, 1, 2


class Split(Protocol):
    """A rule that cuts a log."""

    def parts(self, log: Log) -> np.ndarray:
        """TRAIN, VALID or TEST for each event: int8, (n,)."""
        ...

    def __str__(self) -> str:
        """The rule in words."""
        ...


@dataclass(frozen=True)
class LeaveOneOut:
    """Each user's last event is the test, the one before the validation; fewer than 3 events only train."""

    def parts(self, log: Log) -> np.ndarray:
        """TRAIN, VALID or TEST for each event: int8, (n,)."""
        long = (log.lengths >= 3)[log.user]
        parts = np.full(len(log), TRAIN, np.int8)
        parts[long & (log.from_end == 1)] = VALID
        parts[long & (log.from_end == 0)] = TEST
        return parts

    def __str__(self) -> str:
        """The rule in words."""
        return "leave one out: each user's last event is the test, the one before it the validation"


@dataclass(frozen=True)
class UserRatio:
    """The last part of each user's events is the test, the part before it the validation.

    Of n >= 3 events max(1, floor(n test)) are the test and max(1, floor(n valid)) the validation, but at
    least one is left for training; users of fewer than 3 events only train.
    """

    valid: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        """Check the fractions."""
        _check(self.valid, self.test)

    def parts(self, log: Log) -> np.ndarray:
        """TRAIN, VALID or TEST for each event: int8, (n,)."""
        n = log.lengths
        test = np.clip(np.floor(n * self.test + 1e-9), 1, np.maximum(1, n - 2)).astype(np.int64)
        valid = np.clip(np.floor(n * self.valid + 1e-9), 1, np.maximum(1, n - 1 - test)).astype(np.int64)
        long = (n >= 3)[log.user]
        parts = np.full(len(log), TRAIN, np.int8)
        parts[long & (log.from_end < (test + valid)[log.user])] = VALID
        parts[long & (log.from_end < test[log.user])] = TEST
        return parts

    def __str__(self) -> str:
        """The rule in words."""
        return (
            f"ratio: each user's last {self.test:.3g} of events is the test, "
            f"the {self.valid:.3g} before it the validation"
        )


@dataclass(frozen=True)
class GlobalTime:
    """Two moments cut the whole log: from the second on it is the test, between them the validation.

    The test begins at the time of the event that has the part `test` of all events from it on, the validation
    at that of the event with the part `valid` between it and the test. Events at the moment of a cut belong
    to the later part: no training event is as late as a held-out one.
    """

    valid: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        """Check the fractions."""
        _check(self.valid, self.test)

    def parts(self, log: Log) -> np.ndarray:
        """TRAIN, VALID or TEST for each event: int8, (n,).

        Raises:
            FarziError: the log has no times.
        """
        if log.time is None:
            raise FarziError(
                "the split by time needs times, and the log has none; name the column as data.time"
            )
        ordered = np.sort(log.time)
        test_from = ordered[-max(1, math.floor(len(log) * self.test + 1e-9))]
        before = ordered[ordered < test_from]
        valid = min(len(before), max(1, math.floor(len(log) * self.valid + 1e-9)))
        valid_from = before[-valid] if valid else test_from
        return ((log.time >= valid_from).astype(np.int8) + (log.time >= test_from)).astype(np.int8)

    def __str__(self) -> str:
        """The rule in words."""
        return (
            f"time: the last {self.test:.3g} of all events is the test, "
            f"the {self.valid:.3g} before it the validation"
        )


def _check(valid: float, test: float) -> None:
    if not (0 < valid < 1 and 0 < test < 1 and valid + test < 1):
        raise FarziError(
            f"data.split.valid and data.split.test must be above 0 and together below 1, got {valid:g}, {test:g}"
        )
