"""Item-based nearest neighbours, without training (Deshpande and Karypis 2004, "Item-based top-N")."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from farzi.data import Sequences

NEIGHBOURS = 100
"""Items kept with each item."""

LONGEST = 500
"""Events of a history that are read at most."""

ROWS = 1024
"""Items whose neighbours are computed at a time."""


@dataclass(frozen=True, eq=False)
class ItemKNN:
    r"""The items most similar to those of a history.

    With n_i the users who have item i and n_ij those who have both i and j, the similarity is the cosine
    s_ij = n_ij / √(n_i n_j), and 0 for i = j. The score of an item is the sum of its similarities to the
    different items of the history.

    Attributes:
        similarities: (V, V), a sparse array; of each item i, row i, the largest s_ij alone.
        length: events of a history that are read.
        repeats: whether items of the history may come again; their scores are −∞ if not.
    """

    similarities: Any
    length: int
    repeats: bool = True
    device = torch.device("cpu")

    @property
    def bytes(self) -> int:
        """Of the similarities kept, 12 bytes each."""
        return 12 * self.similarities.nnz

    def next_scores(self, histories: Tensor) -> Tensor:
        """As `farzi.evaluation.Ranker`."""
        sets = history_sets(histories, self.similarities.shape[0])
        scores = (sets @ self.similarities).toarray()
        return torch.from_numpy(scores if self.repeats else np.where(sets.toarray() > 0, -np.inf, scores))


def item_knn(log: Sequences, vocabulary: int, length: int) -> Iterator[ItemKNN]:
    """Models for the validation to choose from: see `readings`."""
    model = ItemKNN(similarities(log, vocabulary, NEIGHBOURS), length)
    return (replace(model, **reading) for reading in readings(log, length))


def similarities(log: Sequences, vocabulary: int, neighbours: int) -> Any:
    """The largest s_ij of each item i, (V, V), at most `neighbours` in a row."""
    sets = item_sets(log, vocabulary)
    unit = sparse.csr_array(sets / np.sqrt(np.maximum(np.asarray(sets.sum(0)).ravel(), 1.0)))
    across = sparse.csr_array(unit.T)
    starts = range(0, vocabulary, ROWS)
    parts = [_largest(sparse.csr_array(across[at : at + ROWS] @ unit), at, neighbours) for at in starts]
    return sparse.csr_array(sparse.vstack(parts))


def readings(log: Sequences, length: int) -> list[dict[str, Any]]:
    """Ways to read a history: as a student does or as a whole, at most `LONGEST`; with repeats or without."""
    longest = min(LONGEST, int(log.lengths.max(initial=1)) + 1)
    lengths = dict.fromkeys((length, max(length, longest)))
    return [{"length": one, "repeats": repeats} for one in lengths for repeats in (True, False)]


def item_sets(log: Sequences, vocabulary: int) -> Any:
    """(sequences, V), a sparse array: 1 where a sequence has an item."""
    return _sets(np.repeat(np.arange(len(log)), log.lengths), log.items, (len(log), vocabulary))


def history_sets(histories: Tensor, vocabulary: int) -> Any:
    """(B, V), a sparse array: 1 where a history (B, L), padded with zeros, has an item."""
    rows, columns = np.nonzero(histories.numpy())
    return _sets(rows, histories.numpy()[rows, columns], (len(histories), vocabulary))


def _sets(rows: np.ndarray, items: np.ndarray, shape: tuple[int, int]) -> Any:
    sets = sparse.csr_array((np.ones(len(rows)), (rows, items)), shape)
    sets.sum_duplicates()
    sets.data[:] = 1.0
    return sets


def _largest(rows: Any, start: int, count: int) -> Any:
    """The `count` largest entries of each row, without the diagonal; row 0 is item `start`."""
    chosen: list[np.ndarray] = []
    for row, (begin, end) in enumerate(zip(rows.indptr[:-1], rows.indptr[1:])):
        places = np.arange(begin, end)[rows.indices[begin:end] != start + row]
        if len(places) > count:
            places = places[np.argpartition(-rows.data[places], count)[:count]]
        chosen.append(places)
    offsets = np.cumsum([0, *map(len, chosen)])
    flat = np.concatenate(chosen)
    return sparse.csr_array((rows.data[flat], rows.indices[flat], offsets), rows.shape)
