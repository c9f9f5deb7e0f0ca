"""How near each synthetic sequence is to a real one: whether a summary repeats somebody's history.

A summary that starts from windows of real data may still hold them. Two figures for each synthetic sequence,
taken as its most probable event at each position: how many positions equal the nearest real window, event by
event at the same offset, and the longest run of consecutive events that it shares with a real sequence.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from farzi.data import Sequences

CHUNK = 2**20
"""Real events compared at a time, separators included: a few arrays of so many numbers are in memory."""


class Nearness(NamedTuple):
    """How near each of μ sequences of ξ events is to the real sequences."""

    equal: np.ndarray  # positions that equal the nearest real window, int64, (μ,), 0 to ξ
    run: np.ndarray  # events of the longest run shared with a real sequence at any one offset, int64, (μ,)


def nearest_windows(events: np.ndarray, real: Sequences, chunk: int = CHUNK) -> Nearness:
    """Compare sequences of events with all windows of the real sequences.

    A window may stick out of its sequence, as those of sequences shorter than ξ do; it never spans two. Only
    occurrences of a sequence's own events are looked at: the work grows with how often they occur, not with
    ξ times the number of real events.

    Args:
        events: integers, (μ, ξ); 0, padding, equals nothing.
        real: the training sequences of a log, or the documents of a text.
        chunk: see `CHUNK`.
    """
    count, length = events.shape
    equal, longest = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for flat in _chunks(real, length, max(chunk, 2 * length)):
        order = np.argsort(flat, kind="stable")
        first, stop = (np.searchsorted(flat[order], events, side) for side in ("left", "right"))
        for row in range(count):
            # by the place where a window begins: equal positions, the latest run, and where that ends
            hits = np.zeros(len(flat), np.int32)
            run, end = np.zeros(len(flat), np.int32), np.full(len(flat), -2, np.int32)
            for position in np.flatnonzero(events[row]):
                windows = order[first[row, position] : stop[row, position]] - position
                if len(windows) == 0:
                    continue
                hits[windows] += 1
                run[windows] = np.where(end[windows] == position - 1, run[windows] + 1, 1)
                end[windows] = position
                longest[row] = max(longest[row], run[windows].max())
            equal[row] = max(equal[row], hits.max())
    return Nearness(equal, longest)


def _chunks(real: Sequences, length: int, size: int) -> Iterator[np.ndarray]:
    """The real events, about `size` numbers at a time, with `length` zeros around each sequence.

    A sequence longer than that is cut into pieces that overlap by length − 1 events, so that none of its
    windows is missed.
    """
    gap, parts, held = np.zeros(length, np.int64), [], 0
    for sequence in real:
        for start in range(0, max(1, len(sequence) - length + 1), size):
            piece = sequence[start : start + size + length - 1]
            parts += [gap, piece]
            held += length + len(piece)
            if held >= size:
                yield np.concatenate([*parts, gap])
                parts, held = [], 0
    if parts:
        yield np.concatenate([*parts, gap])
