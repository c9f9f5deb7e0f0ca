"""Real sequences of random users and of the most active ones.

Each user's history is cut into windows of at most `length` events, counted from its end. `Random` and `Head`
take the last window of each user, in some order of the users; then the second to last window of each, and so
on. They differ in the order of users only.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from farzi.data import Sequences
from farzi.data.sequences import offsets_of


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
        return _windows(log, rng.permutation(len(log)), length, count)


@dataclass(frozen=True)
class Head:
    """The most active users first; equally active ones in the log's order."""

    def __call__(self, log: Sequences, length: int, count: int, rng: np.random.Generator) -> Sequences:
        return _windows(log, np.argsort(-log.lengths, kind="stable"), length, count)


def bytes_per_event(vocabulary: int) -> int:
    """Bytes of the smallest usual integer type that numbers V events."""
    return 2 if vocabulary <= 2**16 else 4


def cut(log: Sequences, length: int) -> tuple[Sequences, np.ndarray]:
    """Each sequence cut into windows of at most `length` events, counted from its end.

    Windows of one event are left out: they have nothing to predict.

    Returns:
        The windows, grouped by sequence, the last one of a sequence first; and the turn of each, (windows,):
        0 for the last window of its sequence, 1 for the second to last, and so on.
    """
    turns = -(-log.lengths // length)
    owner = np.repeat(np.arange(len(log)), turns)
    turn = np.arange(len(owner)) - np.repeat(np.cumsum(turns) - turns, turns)
    ends = log.lengths[owner] - turn * length
    lengths = np.minimum(ends, length)
    usable = lengths > 1
    starts, lengths = (log.offsets[owner] + ends - lengths)[usable], lengths[usable]
    offsets = offsets_of(lengths)
    places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    return Sequences(log.items[places], offsets), turn[usable]


def _windows(log: Sequences, users: np.ndarray, length: int, count: int) -> Sequences:
    """The first `count` windows: the last one of each user, in that order, then the second to last, ..."""
    windows, turn = cut(log.select(users), length)
    return windows.select(np.argsort(turn, kind="stable")[:count])
