"""Real sequences cut into windows, and windows as vectors that can be compared."""

from functools import lru_cache
from typing import Any, cast

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import svds

from farzi.data import Sequences
from farzi.data.sequences import offsets_of


def cut(log: Sequences, length: int) -> tuple[Sequences, np.ndarray]:
    """Each sequence cut into windows of at most `length` events, counted from its end.

    Windows of one event teach nothing and are left out.

    Returns:
        The windows, those of one sequence after those of another, its last one first; and the turn of each,
        (windows,): 0 for the last of its sequence, 1 for the second to last, and so on.
    """
    turns = -(-log.lengths // length)
    owner = np.repeat(np.arange(len(log)), turns)
    turn = np.arange(len(owner)) - np.repeat(np.cumsum(turns) - turns, turns)
    ends = log.lengths[owner] - turn * length
    lengths = np.minimum(ends, length)
    kept = lengths > 1
    starts, lengths = (log.offsets[owner] + ends - lengths)[kept], lengths[kept]
    offsets = offsets_of(lengths)
    places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    return Sequences(log.items[places], offsets), turn[kept]


@lru_cache(maxsize=2)  # a comparison asks for the same ones again, seed after seed
def cut_with_features(log: Sequences, length: int, directions: int) -> tuple[Sequences, np.ndarray]:
    """The windows of `cut`, and their `features`."""
    windows, _ = cut(log, length)
    return windows, features(windows, directions)


def features(windows: Sequences, directions: int) -> np.ndarray:
    """Vectors of windows, (windows, at most `directions`), float32, of how often each event occurs in them.

    The weight of an event in a window is log(1 + its count) times its inverse document frequency,
    log((1 + windows) / (1 + windows with it)) + 1; each window's weights have length 1. Where there are more
    windows and events than `directions`, these vectors are projected on the directions in which they are
    longest (truncated SVD): distances are those of the whole vectors as far as the directions see.
    """
    weights = _weights(windows)
    smaller = min(cast(tuple[int, int], weights.shape))
    if smaller <= directions:
        return weights.toarray()
    _, _, right = cast(Any, svds(weights, k=directions, v0=np.ones(smaller, np.float32)))
    return np.ascontiguousarray(weights @ right.T)


def _weights(windows: Sequences) -> sparse.csr_matrix:
    """tf-idf, (windows, events that occur), float32, rows of length 1."""
    events, column = np.unique(windows.items, return_inverse=True)
    row = np.repeat(np.arange(len(windows)), windows.lengths)
    counts = sparse.coo_matrix((np.ones(len(row)), (row, column)), (len(windows), len(events))).tocsr()
    counts.sum_duplicates()
    frequency = np.log((1 + len(windows)) / (1 + np.bincount(counts.indices, minlength=len(events)))) + 1
    counts.data = np.log1p(counts.data) * frequency[counts.indices]
    norms = np.sqrt(np.asarray(counts.multiply(counts).sum(1)).ravel())
    return sparse.csr_matrix(sparse.diags(1 / norms) @ counts, dtype=np.float32)
