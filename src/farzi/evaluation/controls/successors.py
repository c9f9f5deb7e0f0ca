"""Counts of pairs of neighbours: the most frequent next items of a log, bigrams of a text."""

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from farzi.data import Sequences
from farzi.evaluation.controls.popularity import Popularity


def pair_counts(log: Sequences, vocabulary: int) -> sparse.csr_array:
    """How often each event directly follows each other one, float64, (V, V)."""
    inside = np.ones(len(log.items), bool)
    inside[log.offsets[:-1][log.lengths > 0]] = False  # a first event follows none
    after = np.flatnonzero(inside)
    pairs = (log.items[after - 1], log.items[after])
    return sparse.csr_array((np.ones(len(after)), pairs), (vocabulary, vocabulary))  # duplicates are added up


class Successors:
    """The items that most often came directly after a history's last one; equal ones by popularity.

    A first-order Markov chain, without training. Its arguments are those of `Popularity`.
    """

    device = torch.device("cpu")

    def __init__(self, log: Sequences, vocabulary: int, length: int) -> None:
        self.length = length
        self.counts = pair_counts(log, vocabulary)
        self.popularity = Popularity(log, vocabulary, length).scores.exp()  # below 1: only breaks ties

    @property
    def bytes(self) -> int:
        """Of the pairs that occur, 12 bytes each, and of the popularity."""
        return 12 * self.counts.nnz + 4 * (len(self.popularity) - 1)

    def next_scores(self, histories: Tensor) -> Tensor:
        """As `farzi.evaluation.Ranker`."""
        return torch.from_numpy(self.counts[histories[:, -1].numpy()].toarray()) + self.popularity


class Bigram:
    r"""Bigrams with interpolated Kneser-Ney smoothing (Chen and Goodman 1999), one discount for all counts.

    With c(v, w) the count of w after v, c(v) = Σ_w c(v, w), N(v) the number of different tokens after v, and
    N'(w) that before w,

        p(w | v) = max(0, c(v, w) − D) / c(v) + D N(v) / c(v) q(w),     D = n1 / (n1 + 2 n2),
        q(w) = (N'(w) + 1) / (Σ N' + V − 1),

    n1 and n2 being the numbers of pairs that occur once and twice; D = 1/2 if none occurs once. After a token
    that is followed by nothing in the training text, p = q. Its arguments are those of `Popularity`.
    """

    device = torch.device("cpu")

    def __init__(self, log: Sequences, vocabulary: int, length: int) -> None:
        self.length = length
        counts = pair_counts(log, vocabulary)
        counts.sum_duplicates()
        once, twice = (counts.data == 1).sum(), (counts.data == 2).sum()
        discount = once / (once + 2 * twice) if once else 0.5
        before = np.bincount(counts.indices, minlength=vocabulary) + 1.0
        before[0] = 0.0
        self.backoff = torch.from_numpy(before / before.sum())
        total, kinds = counts.sum(axis=1), np.diff(counts.indptr)
        followed = np.maximum(total, 1.0)
        self.rest = torch.from_numpy(np.where(total > 0, discount * kinds / followed, 1.0))
        counts.data = (counts.data - discount) / np.repeat(followed, kinds)
        self.discounted = counts

    @property
    def bytes(self) -> int:
        """Of the pairs that occur, 12 bytes each, and of two numbers per token."""
        return 12 * self.discounted.nnz + 8 * (len(self.rest) - 1)

    def last_scores(self, windows: Tensor, count: int) -> Tensor:
        """As `farzi.evaluation.LanguageModel`."""
        last = windows[:, -count:].reshape(-1)
        seen = torch.from_numpy(self.discounted[last.numpy()].toarray())
        scores = (seen + self.rest[last, None] * self.backoff).log()
        return scores.reshape(len(windows), count, -1)
