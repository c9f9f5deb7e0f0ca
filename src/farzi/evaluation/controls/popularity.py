"""Counts of single events, the same after every history: popularity of a log, unigrams of a text."""

import numpy as np
import torch
from torch import Tensor

from farzi.data import Sequences


class Popularity:
    """The probability of each event whatever came before, (count + 1) / (events + V − 1).

    Args:
        log: training sequences.
        vocabulary: V, padding included.
        length: of the windows that it is given.
    """

    device = torch.device("cpu")

    def __init__(self, log: Sequences, vocabulary: int, length: int) -> None:
        self.length = length
        counts = np.bincount(log.items, minlength=vocabulary) + 1.0
        counts[0] = 0.0
        with np.errstate(divide="ignore"):
            self.scores = torch.from_numpy(np.log(counts / counts.sum()))

    @property
    def bytes(self) -> int:
        """Of one count per event, 4 bytes each."""
        return 4 * (len(self.scores) - 1)

    def next_scores(self, histories: Tensor) -> Tensor:
        """As `farzi.evaluation.Ranker`."""
        return self.scores.repeat(len(histories), 1)

    def last_scores(self, windows: Tensor, count: int) -> Tensor:
        """As `farzi.evaluation.LanguageModel`."""
        return self.scores.expand(len(windows), count, -1)
