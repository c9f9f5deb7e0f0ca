r"""Real sequences that represent the whole log: herding, and greedy k-centre.

Both compare windows by the vectors of `features`, which depend on the log alone, not on a model. Each choice
reads all vectors once: choosing 1,000 of 100,000 windows takes seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sparse

from farzi.data import Sequences
from farzi.evaluation.controls.subsets import cut

DIRECTIONS = 64
"""Dimensions in which windows are compared."""


@dataclass(frozen=True)
class Herding:
    """Windows whose mean is near the mean of all windows (Welling, ICML 2009).

    Windows are chosen one by one, without replacement. Each choice brings the mean of the chosen ones as near
    as possible to the mean of all. With vectors of equal length that is Welling's herding ("Herding dynamical
    weights to learn"), started at the mean.

    Attributes:
        directions: see `features`.
    """

    directions: int = DIRECTIONS

    def __call__(self, log: Sequences, length: int, count: int, rng: np.random.Generator) -> Sequences:
        return _chosen(log, length, count, self.directions, lambda vectors: herded(vectors, count))


@dataclass(frozen=True)
class KCentre:
    """Windows such that every other window is near one of them; they include rare kinds of histories.

    Greedy: after a random first window, always the one farthest from those chosen so far. The largest
    distance that remains is at most twice that of the best choice (Gonzalez 1985). Sener and Savarese (arXiv
    1708.00489) use it as a core-set.

    Attributes:
        directions: see `features`.
    """

    directions: int = DIRECTIONS

    def __call__(self, log: Sequences, length: int, count: int, rng: np.random.Generator) -> Sequences:
        def choose(vectors: np.ndarray) -> np.ndarray:
            return centres(vectors, count, int(rng.integers(len(vectors))))

        return _chosen(log, length, count, self.directions, choose)


def _chosen(
    log: Sequences, length: int, count: int, directions: int, choose: Callable[[np.ndarray], np.ndarray]
) -> Sequences:
    """The windows that `choose` selects by their vectors; all windows if there are at most `count`."""
    windows, _ = cut(log, length)
    if count >= len(windows):
        return windows
    return windows.select(choose(_features_of(log, length, directions)))


def herded(vectors: np.ndarray, count: int) -> np.ndarray:
    """Indices of at most `count` rows of vectors (n, d), in the order in which `Herding` chooses them."""
    count = min(count, len(vectors))
    chosen = np.zeros(count, np.int64)
    mean = vectors.mean(0, dtype=np.float64)
    squares = np.einsum("nd,nd->n", vectors, vectors)
    missing = np.zeros_like(mean)  # place × mean − the sum of the chosen vectors
    for place in range(count):
        missing += mean
        cost = squares - 2 * (vectors @ missing.astype(vectors.dtype))
        cost[chosen[:place]] = np.inf
        chosen[place] = cost.argmin()
        missing -= vectors[chosen[place]]
    return chosen


def centres(vectors: np.ndarray, count: int, first: int) -> np.ndarray:
    """Indices of at most `count` rows of vectors (n, d): `first`, then always the farthest one."""
    count = min(count, len(vectors))
    chosen = np.zeros(count, np.int64)
    squares = np.einsum("nd,nd->n", vectors, vectors)
    nearest = np.full(len(vectors), np.inf, vectors.dtype)
    latest = first
    for place in range(count):
        chosen[place] = latest
        distance = squares - 2 * (vectors @ vectors[latest]) + squares[latest]
        np.minimum(nearest, distance, out=nearest)
        nearest[latest] = -np.inf  # never again, even if all others have the same vector
        latest = int(nearest.argmax())
    return chosen


@lru_cache(maxsize=2)  # a comparison needs the same vectors for every seed
def _features_of(log: Sequences, length: int, directions: int) -> np.ndarray:
    return features(cut(log, length)[0], directions)


def features(windows: Sequences, directions: int) -> np.ndarray:
    """Vectors of windows, (windows, at most `directions`), float32, from how often each event occurs in them.

    tf-idf: the weight of an event in a window is log(1 + its count) times its inverse document frequency,
    log((1 + windows) / (1 + windows with it)) + 1, and each window's weights have Euclidean length 1. With
    more windows and more events than `directions`, a truncated SVD projects these vectors on their main
    directions.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer

    events, column = np.unique(windows.items, return_inverse=True)
    row = np.repeat(np.arange(len(windows)), windows.lengths)
    shape = (len(windows), len(events))
    counts: Any = sparse.csr_matrix((np.ones(len(row)), (row, column)), shape)  # duplicates are added up
    weights: Any = TfidfTransformer().fit_transform(counts.log1p()).astype(np.float32)
    if min(shape) <= directions:
        return weights.toarray()
    svd = TruncatedSVD(directions, algorithm="arpack", random_state=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # of the shares of the variance, if that is 0
        return np.ascontiguousarray(svd.fit_transform(weights))
