"""Rectangles of ids for a model, made from ragged sequences."""

from collections.abc import Sequence

import numpy as np

from farzi.data.sequences import Sequences, offsets_of


def pad_left(sequences: Sequences | Sequence[np.ndarray | Sequence[int]], length: int) -> np.ndarray:
    """The last `length` events of each sequence, padded with zeros at the left: int64, (n, length)."""
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    if not isinstance(sequences, Sequences):
        sequences = Sequences.from_lists(sequences)
    lengths = np.minimum(sequences.lengths, length)
    return _windows(sequences, sequences.offsets[1:] - lengths, lengths, length)


def crops(sequences: Sequences, length: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `count` windows of `length` consecutive events for training: int64, (count, length), zeros left.

    A sequence is drawn in proportion to max(1, events - 1), the number of next events it can teach; then the
    place of the window in it, uniformly. A shorter sequence is taken whole. The result depends on the state
    of `rng` alone.
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
    return _windows(sequences, sequences.offsets[chosen] + shift, lengths, length)


def _windows(sequences: Sequences, starts: np.ndarray, lengths: np.ndarray, width: int) -> np.ndarray:
    if len(sequences.items) == 0:
        return np.zeros((len(starts), width), np.int64)
    column = np.arange(width) - (width - lengths)[:, None]  # (n, width); negative where there is padding
    positions = np.clip(starts[:, None] + column, 0, len(sequences.items) - 1)
    return np.where(column >= 0, sequences.items[positions], 0)
