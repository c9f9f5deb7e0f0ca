r"""Real sequences picked for what they stand for: by their mean, or so that none is far from one of them.

Both look at windows as `farzi.evaluation.controls.windows.features` describes them, which knows the log and nothing of
any model. Each pick reads all vectors once: of 100,000 windows 1,000 are picked in some seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from farzi.data import Sequences
from farzi.evaluation.controls.windows import cut, cut_with_features

DIRECTIONS = 64
"""In which windows are compared."""


@dataclass(frozen=True)
class Herding:
    """Windows whose mean is that of all (Welling, "Herding dynamical weights to learn", ICML 2009).

    Picked one after the other without being put back, each so that the mean of those picked so far comes
    nearest to the mean of all. With vectors of one length that is Welling's herding, begun at the mean.

    Attributes:
        directions: see `features`.
    """

    directions: int = DIRECTIONS

    def __call__(self, log: Sequences, length: int, count: int, rng: np.random.Generator) -> Sequences:
        """See `Control`; nothing is drawn."""
        return _picked(log, length, count, self.directions, herded)


@dataclass(frozen=True)
class KCentre:
    """Windows such that the farthest other one is near to one of them.

    The greedy choice, from a window drawn on always the one that is farthest from those picked so far, leaves
    at most twice the distance that the best choice leaves (Gonzalez 1985); as a core-set by Sener and
    Savarese (arXiv 1708.00489). It looks for what is rare.

    Attributes:
        directions: see `features`.
    """

    directions: int = DIRECTIONS

    def __call__(self, log: Sequences, length: int, count: int, rng: np.random.Generator) -> Sequences:
        """See `Control`."""

        def from_one_drawn(vectors: np.ndarray, count: int) -> np.ndarray:
            return centres(vectors, count, int(rng.integers(len(vectors))))

        return _picked(log, length, count, self.directions, from_one_drawn)


def _picked(
    log: Sequences,
    length: int,
    count: int,
    directions: int,
    pick: Callable[[np.ndarray, int], np.ndarray],
) -> Sequences:
    """The windows that `pick` picks by their vectors; all of them where there are no more."""
    windows, _ = cut(log, length)
    if count >= len(windows):
        return windows
    windows, vectors = cut_with_features(log, length, directions)
    return windows.select(pick(vectors, count))


def herded(vectors: np.ndarray, count: int) -> np.ndarray:
    """Indices of at most `count` rows of vectors (n, d), in the order in which `Herding` picks them."""
    count = min(count, len(vectors))
    picked = np.zeros(count, np.int64)
    mean = vectors.mean(0, dtype=np.float64)
    squares = np.einsum("nd,nd->n", vectors, vectors)
    short = np.zeros_like(mean)  # what the sum of those picked lacks of as many means
    for place in range(count):
        short += mean
        cost = squares - 2 * (vectors @ short.astype(vectors.dtype))
        cost[picked[:place]] = np.inf
        picked[place] = cost.argmin()
        short -= vectors[picked[place]]
    return picked


def centres(vectors: np.ndarray, count: int, first: int) -> np.ndarray:
    """Indices of at most `count` rows of vectors (n, d), from `first` on always the farthest one."""
    count = min(count, len(vectors))
    picked = np.zeros(count, np.int64)
    squares = np.einsum("nd,nd->n", vectors, vectors)
    nearest = np.full(len(vectors), np.inf, vectors.dtype)
    latest = first
    for place in range(count):
        picked[place] = latest
        distance = squares - 2 * (vectors @ vectors[latest]) + squares[latest]
        np.minimum(nearest, distance, out=nearest)
        nearest[latest] = -np.inf  # never again, not even where all others lie upon it
        latest = int(nearest.argmax())
    return picked
