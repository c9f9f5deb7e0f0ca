"""Real sequences cut into windows, and windows as vectors that can be compared."""

from functools import lru_cache
from typing import Any, cast

import numpy as np
import scipy.sparse as sparse

from farzi.data import Sequences
from farzi.data.sequences import offsets_of


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


@lru_cache(maxsize=2)  # a comparison needs the same vectors for every seed
def cut_with_features(log: Sequences, length: int, directions: int) -> tuple[Sequences, np.ndarray]:
    """The windows of `cut`, and their `features`."""
    windows, _ = cut(log, length)
    return windows, features(windows, directions)


def features(windows: Sequences, directions: int) -> np.ndarray:
    """Vectors of windows, (windows, at most `directions`), float32, from how often each event occurs in them.

    tf-idf: the weight of an event in a window is log(1 + its count) times its inverse document frequency,
    log((1 + windows) / (1 + windows with it)) + 1, and each window's weights have Euclidean length 1. With
    more windows and more events than `directions`, a truncated SVD projects these vectors on their main
    directions.
    """
    weights = _tf_idf(windows)
    smaller = min(cast(tuple[int, int], weights.shape))
    if smaller <= directions:
        return weights.toarray()
    from sklearn.decomposition import TruncatedSVD

    svd = TruncatedSVD(directions, algorithm="arpack", random_state=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # of the shares of the variance, if that is 0
        return np.ascontiguousarray(svd.fit_transform(weights))


def _tf_idf(windows: Sequences) -> sparse.csr_matrix:
    """(windows, events that occur), float32, rows of length 1."""
    from sklearn.feature_extraction.text import TfidfTransformer

    events, column = np.unique(windows.items, return_inverse=True)
    row = np.repeat(np.arange(len(windows)), windows.lengths)
    shape = (len(windows), len(events))
    counts: Any = sparse.csr_matrix((np.ones(len(row)), (row, column)), shape)  # duplicates are added up
    weights: Any = TfidfTransformer().fit_transform(counts.log1p())
    return sparse.csr_matrix(weights, dtype=np.float32)
