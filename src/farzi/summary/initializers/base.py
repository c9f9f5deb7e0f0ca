"""The protocol of initializers, and what several of them need.

The initial summary matters as much as the outer loop. `TeacherInitializer` is the default; without teachers,
`TransitionInitializer` is meant for logs and `ClassInitializer` for texts.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from farzi.data import Sequences, crops
from farzi.summary.initializers.ensemble import Ensemble
from farzi.summary.tensors import SummaryTensors


@dataclass(frozen=True)
class Size:
    """The shape of a summary, its temperature, and whether it has a label decoder.

    Attributes:
        sequences: μ, number of synthetic sequences.
        length: ξ, positions in each.
        dim: d, width of the latents.
        vocabulary: V, padding included.
        temperature: τ.
        label_decoder: whether soft labels have a decoder of their own.
    """

    sequences: int
    length: int
    dim: int
    vocabulary: int
    temperature: float = 1.0
    label_decoder: bool = False


class Initializer(Protocol):
    """Makes the initial summary.

    An initializer that uses full-data models also has an attribute `teachers`: how many trainings of the
    recipe's student it needs (0 if there is no such attribute). It may have `others`, the settings of further
    teachers.
    """

    def __call__(
        self, size: Size, log: Sequences, rng: np.random.Generator, teachers: Ensemble | None
    ) -> SummaryTensors:
        """A summary of that size.

        Args:
            size: of the summary.
            log: training sequences.
            rng: for all random draws.
            teachers: models trained on the full data; None where the initializer needs none.
        """
        ...


def real_windows(log: Sequences, sequences: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Random windows of the log, (sequences, length), without padding.

    If no sequence is long enough, shorter windows are repeated to fill the length.
    """
    long = log.select(log.lengths >= length)
    windows = crops(long if len(long) else log, length, sequences, rng)
    for row in windows:
        real = row[row > 0]
        row[:] = np.resize(real[::-1], length)[::-1]
    return windows


def single(array: np.ndarray) -> torch.Tensor:
    """The array as a tensor in single precision."""
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
