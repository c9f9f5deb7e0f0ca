"""Which sequences of a summary each step of a training reads."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class BatchSchedule:
    """Batches of a summary's sequences, one for each step of a training.

    Random permutations of the sequences are concatenated, and each step takes the next `batch` of them. So
    every sequence is read equally often; a batch that spans two permutations may hold a sequence twice.
    Permutation e depends on (seed, e) only: the batches of any steps can be computed without those before.

    Attributes:
        sequences: μ, how many there are.
        batch: how many a step reads; None, or at least μ: all, in their own order.
        seed: of the permutations.
        device: of the indices.
    """

    sequences: int
    batch: int | None
    seed: int
    device: torch.device | str = "cpu"

    def batches(self, first: int, steps: int) -> Sequence[None] | Tensor:
        """The batches of some steps, for `farzi.unroll`.

        Args:
            first: number of steps before these.
            steps: how many.

        Returns:
            Indices (steps, batch), int64; or a list of None, one for each step, if a step reads all
            sequences.
        """
        if self.batch is None or self.batch >= self.sequences:
            return [None] * steps
        begin, end = first * self.batch, (first + steps) * self.batch
        epochs = range(begin // self.sequences, -(-end // self.sequences))
        row = np.concatenate([np.zeros(0, np.int64), *(self._permutation(epoch) for epoch in epochs)])
        begin -= epochs.start * self.sequences
        chosen = row[begin : begin + steps * self.batch]
        return torch.from_numpy(chosen.reshape(steps, self.batch)).to(self.device)

    def _permutation(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, 3, epoch]).permutation(self.sequences)
