"""Real sequences of random users and of the most active ones.

Each user's history is cut into windows of at most `length` events, counted from its end. `Random` and `Head`
take the last window of each user, in some order of the users; then the second to last window of each, and so
on. They differ in the order of users only.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from farzi.data import Sequences
from farzi.evaluation.controls.windows import cut


class Control(Protocol):
    """A way to choose real sequences."""

    def __call__(self, log: Sequences, length: int, count: int, rng: np.random.Generator) -> Sequences:
        """At most `count` real sequences of at most `length` events each.

        Args:
            log: training sequences.
            length: events in a sequence, at most.
            count: number of sequences, at most.
            rng: for all random draws.
        """
        ...


@dataclass(frozen=True)
class Random:
    """Users in random order."""

    def __call__(self, log: Sequences, length: int, count: int, rng: np.random.Generator) -> Sequences:
        """See `Control`."""
        return _windows(log, rng.permutation(len(log)), length, count)


@dataclass(frozen=True)
class Head:
    """The most active users first; equally active ones in the log's order."""

    def __call__(self, log: Sequences, length: int, count: int, rng: np.random.Generator) -> Sequences:
        """See `Control`; nothing is random."""
        return _windows(log, np.argsort(-log.lengths, kind="stable"), length, count)


def bytes_per_event(vocabulary: int) -> int:
    """Bytes of the smallest usual integer type that numbers V events."""
    return 2 if vocabulary <= 2**16 else 4


def _windows(log: Sequences, users: np.ndarray, length: int, count: int) -> Sequences:
    """The first `count` windows: the last one of each user, in that order, then the second to last, ..."""
    windows, turn = cut(log.select(users), length)
    return windows.select(np.argsort(turn, kind="stable")[:count])
