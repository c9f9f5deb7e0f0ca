"""Sequences of different lengths in two flat arrays, held-out pairs of them, and batches of indices."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Sequences:
    """n sequences of item indices, stored one after the other in `items`.

    Attributes:
        items: int64, (events,).
        offsets: int64, (n + 1,); sequence i is `items[offsets[i] : offsets[i + 1]]`.
        users: ids of the n users, or None if the sequences belong to no user.
    """

    items: np.ndarray
    offsets: np.ndarray
    users: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.items) or (np.diff(self.offsets) < 0).any():
            raise ValueError("offsets must rise from 0 to len(items)")
        if self.users is not None and len(self.users) != len(self):
            raise ValueError(f"users: {len(self.users)} names for {len(self)} sequences")

    @classmethod
    def from_lists(
        cls, lists: Sequence[Sequence[int] | np.ndarray], users: Sequence[str] | None = None
    ) -> "Sequences":
        """Sequences from one list of indices each."""
        items = np.concatenate([np.empty(0, np.int64), *(np.asarray(one, np.int64) for one in lists)])
        return cls(items, offsets_of([len(one) for one in lists]), None if users is None else tuple(users))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        """Sequence `index`, a view, (length,)."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        return self.items[self.offsets[index] : self.offsets[index + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    @property
    def lengths(self) -> np.ndarray:
        """Events in each sequence, int64, (n,)."""
        return np.diff(self.offsets)

    def select(self, indices: Sequence[int] | np.ndarray) -> "Sequences":
        """The sequences `indices` (integers, or a mask of booleans), in that order."""
        indices = np.asarray(indices)
        indices = np.flatnonzero(indices) if indices.dtype == bool else indices.astype(np.int64)
        users = None if self.users is None else tuple(self.users[index] for index in indices)
        return self._gather(self.offsets[:-1][indices], self.lengths[indices], users)

    def last(self, n: int) -> "Sequences":
        """Each sequence cut to its last `n` events."""
        if n < 0:
            raise ValueError(f"n must not be negative, got {n}")
        lengths = np.minimum(self.lengths, n)
        return self._gather(self.offsets[1:] - lengths, lengths, self.users)

    def _gather(self, starts: np.ndarray, lengths: np.ndarray, users: tuple[str, ...] | None) -> "Sequences":
        offsets = offsets_of(lengths)
        positions = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return Sequences(self.items[positions], offsets, users)


@dataclass(frozen=True, eq=False)
class Holdout:
    """Each user's history and held-out events: `targets[i]` follows `histories[i]`, which is never empty.

    `untrained` are the items, as indices, that no training event has.
    """

    histories: Sequences
    targets: Sequences
    untrained: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        if len(self.histories) != len(self.targets) or self.histories.users != self.targets.users:
            raise ValueError("histories and targets must hold the same users in the same order")

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def parts(self) -> tuple[Sequences, ...]:
        return self.histories, self.targets

    def sample(self, count: int | None) -> "Holdout":
        """That many users, spread evenly over all; all if None or if there are no more."""
        if count is None or count >= len(self):
            return self
        users = np.arange(count) * len(self) // count
        return Holdout(self.histories.select(users), self.targets.select(users), self.untrained)


def offsets_of(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """0 and the running sum of `lengths`: (n,) -> int64 (n + 1,)."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.asarray(lengths, np.int64))])


def pad_left(sequences: Sequences | Sequence[np.ndarray | Sequence[int]], length: int) -> np.ndarray:
    """The last `length` events of each sequence, padded with zeros on the left: int64, (n, length)."""
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    if not isinstance(sequences, Sequences):
        sequences = Sequences.from_lists(sequences)
    lengths = np.minimum(sequences.lengths, length)
    return _windows(sequences, sequences.offsets[1:] - lengths, lengths, length)


def crops(
    sequences: Sequences, length: int, count: int, rng: np.random.Generator, before: int = 0
) -> np.ndarray:
    """Draw windows of consecutive events for training: int64, (count, before + length), zeros on the left.

    A sequence is drawn in proportion to max(1, events - 1), the number of next events to learn from; then the
    position of the window in it, uniformly. A shorter sequence is taken whole. Up to `before` events that
    precede the window stand in front of it. The result depends on nothing but the arguments and the state of
    `rng`; the last `length` columns not on `before`.
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    if len(sequences) == 0:
        raise ValueError("there are no sequences to draw from")
    all_lengths = sequences.lengths
    bounds = offsets_of(np.maximum(1, all_lengths - 1))
    chosen = np.searchsorted(bounds, rng.integers(bounds[-1], size=count), side="right") - 1
    lengths = np.minimum(all_lengths[chosen], length)
    shift = rng.integers(all_lengths[chosen] - lengths + 1)  # (count,): 0 is the earliest window
    further = np.minimum(shift, before)
    starts = sequences.offsets[chosen] + shift - further
    return _windows(sequences, starts, lengths + further, before + length)


def epoch(sequences: Sequences, length: int, events: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Batches of windows that cover every sequence once: int64, (rows, at most `length`), zeros on the left.

    A sequence of more than `length` events is cut into windows of that length from a random place on; one
    more window has its last events, so that what is predicted at the end has a whole window before it, as in
    a test. Windows of like length stand in a batch, and batches are in random order. Windows of one event are
    left out.

    Args:
        sequences: at least one of them has two events.
        length: events in a window, at most, 2 or more.
        events: in a batch, at most, padding included; one window if that alone has more.
        rng: for all random draws.
    """
    lengths, step = sequences.lengths, length - 1
    long = lengths > length
    phases = np.where(long, rng.integers(step, size=len(lengths)), 0)
    further = np.where(long, np.maximum(0, -(-(lengths - phases - 1) // step)), 0)  # windows before the last
    owner = np.repeat(np.arange(len(lengths)), 1 + further)
    turn = np.arange(len(owner)) - np.repeat(offsets_of(1 + further)[:-1], 1 + further)
    ends = lengths[owner] - np.where(turn > 0, phases[owner] + (turn - 1) * step, 0)
    keep = (ends > 1) & ((turn != 1) | (phases[owner] > 0))  # without a phase the first two are the same
    owner, ends = owner[keep], ends[keep]
    sizes = np.minimum(ends, length)
    starts = sequences.offsets[owner] + ends - sizes
    order = rng.permutation(len(sizes))
    order = order[np.argsort(sizes[order] + rng.integers(1 + length // 32, size=len(order)), kind="stable")]
    batches, begin, longest = [], 0, 0
    for place, size in enumerate(sizes[order]):
        longest = max(longest, size)
        if place > begin and (place - begin + 1) * longest > events:
            batches.append(order[begin:place])
            begin, longest = place, size
    batches.append(order[begin:])
    rng.shuffle(batches)
    for batch in batches:
        yield _windows(sequences, starts[batch], sizes[batch], int(sizes[batch].max()))


def _windows(sequences: Sequences, starts: np.ndarray, lengths: np.ndarray, width: int) -> np.ndarray:
    if len(sequences.items) == 0:
        return np.zeros((len(starts), width), np.int64)
    column = np.arange(width) - (width - lengths)[:, None]  # (n, width); negative where there is padding
    positions = np.clip(starts[:, None] + column, 0, len(sequences.items) - 1)
    return np.where(column >= 0, sequences.items[positions], 0)
