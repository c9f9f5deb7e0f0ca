"""Real sequences picked from the log, as controls of the same size as a summary.

Each user's history is cut into windows of at most `length` events, counted from its end. `Random` and `Head`
take the last window of one user after the other; only when all users have given one, their second to last
windows, and so on. The order of users is what they differ in.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from farzi.data import Sequences
from farzi.evaluation.controls.windows import cut


class Control(Protocol):
    """Picks sequences."""

    def __call__(self, log: Sequences, length: int, count: int, rng: np.random.Generator) -> Sequences:
        """At most `count` real sequences of at most `length` events."""
        ...


@dataclass(frozen=True)
class Random:
    """Users in random order."""

    def __call__(self, log: Sequences, length: int, count: int, rng: np.random.Generator) -> Sequences:
        """See `Control`."""
        return _windows(log, rng.permutation(len(log)), length, count)


@dataclass(frozen=True)
class Head:
    """The most active users first; ties in the log's order."""

    def __call__(self, log: Sequences, length: int, count: int, rng: np.random.Generator) -> Sequences:
        """See `Control`; nothing is drawn."""
        return _windows(log, np.argsort(-log.lengths, kind="stable"), length, count)


def bytes_per_event(vocabulary: int) -> int:
    """Bytes of the smallest usual integer that numbers V events."""
    return 2 if vocabulary <= 2**16 else 4


def _windows(log: Sequences, users: np.ndarray, length: int, count: int) -> Sequences:
    """Windows from the end, turn by turn over `users`; those of one event teach nothing and are left out."""
    windows, turn = cut(log.select(users), length)
    return windows.select(np.argsort(turn, kind="stable")[:count])
