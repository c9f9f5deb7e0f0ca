"""EASE: a linear model of the full data in closed form (Steck 2019, arXiv 1905.03375)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from farzi.data import Sequences
from farzi.evaluation.controls.item_knn import ROWS, history_sets, item_sets, readings

LARGEST = 10_000
"""Items at most: for each λ a matrix of items x items is inverted, which takes 40 s of one core with 8,000
items and 64 times as long with four times as many.
"""

PENALTIES = (30.0, 100.0, 300.0, 1000.0)
"""Values of λ, of which the validation chooses one."""


@dataclass(frozen=True, eq=False)
class EASE:
    r"""Item weights B that predict each item of a history from its others.

    With X (users, V) the 0/1 matrix of users and items, B minimises |X − X B|² + λ |B|² under a diagonal of
    zeros. The score of an item is the sum of its weights over the different items of the history.

    Attributes:
        weights: B, (V, V), float32.
        length: events of a history that are read.
        repeats: whether items of the history may come again; their scores are −∞ if not.
    """

    weights: np.ndarray
    length: int
    repeats: bool = True
    device = torch.device("cpu")

    @property
    def bytes(self) -> int:
        """Of the weights, 4 bytes each."""
        return 4 * (len(self.weights) - 1) ** 2

    def next_scores(self, histories: Tensor) -> Tensor:
        """As `farzi.evaluation.Ranker`."""
        sets = history_sets(histories, len(self.weights)).astype(np.float32)
        scores = sets @ self.weights
        return torch.from_numpy(scores if self.repeats else np.where(sets.toarray() > 0, -np.inf, scores))


def ease(log: Sequences, vocabulary: int, length: int) -> Iterator[EASE]:
    """Models for the validation to choose from: each λ, with each of `readings`."""
    gram = gram_of(log, vocabulary)
    for penalty in PENALTIES:
        model = EASE(weights(gram, penalty), length)
        yield from (replace(model, **reading) for reading in readings(log, length))


def weights(gram: np.ndarray, penalty: float) -> np.ndarray:
    """B of G = XᵀX and λ: with P = (G + λ I)⁻¹, B_ij = −P_ij / P_jj for i ≠ j, and 0 on the diagonal."""
    inverse = torch.from_numpy(gram).clone()
    inverse.diagonal().add_(penalty)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(inverse))
    inverse /= -inverse.diagonal().clone()
    inverse.diagonal().zero_()
    return inverse.float().numpy()


def gram_of(log: Sequences, vocabulary: int) -> np.ndarray:
    """XᵀX, (V, V), float64: how many users have both of two items."""
    sets = item_sets(log, vocabulary)
    across, gram = sets.T.tocsr(), np.empty((vocabulary, vocabulary))
    for start in range(0, vocabulary, ROWS):
        gram[start : start + ROWS] = (across[start : start + ROWS] @ sets).toarray()
    return gram
