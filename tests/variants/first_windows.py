"""A control from outside the package: the first events of the first users."""

from dataclasses import dataclass

import numpy as np

from farzi.data import Sequences


@dataclass(frozen=True)
class FirstWindows:
    """The first windows of the log, in its order."""

    skip: int = 0

    def __call__(self, log: Sequences, length: int, count: int, rng: np.random.Generator) -> Sequences:
        sequences = [log[k][:length] for k in range(self.skip, min(len(log), self.skip + count))]
        return Sequences.from_lists(sequences)
