"""What a summary starts from: strategies as values.

A start from the data matters as much as the outer loop: `TransitionInitializer` is for logs, `ClassInitializer` for texts.
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
    """What a summary measures, whatever its values.

    Attributes:
        sequences: μ, number of synthetic sequences.
        length: ξ, events in each.
        dim: d, width of the latents.
        vocabulary: V, padding included.
        temperature: τ.
        own_targets: whether what is predicted has a decoder of its own.
    """

    sequences: int
    length: int
    dim: int
    vocabulary: int
    temperature: float = 1.0
    label_decoder: bool = False


class Initializer(Protocol):
    """Makes the initial summary.

    One that learns from full-data models also has `teachers`, the number of trainings of the recipe's student
    that it wants (0 if there is no such attribute), and may have `others`, the settings of further teachers.
    """

    def __call__(
        self, size: Size, log: Sequences, rng: np.random.Generator, teachers: Ensemble | None
    ) -> SummaryTensors:
        """A summary of that size.

        Args:
            size: of the summary.
            log: training sequences.
            rng: for all random draws.
            teachers: models trained on the full data; None where the initializer wants none.
        """
        ...


def real_windows(log: Sequences, sequences: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Real windows, (sequences, length), none with padding where the log has long enough sequences.

    Shorter ones are repeated to fill the length: a synthetic sequence has no padding.
    """
    long = log.select(log.lengths >= length)
    windows = crops(long if len(long) else log, length, sequences, rng)
    for row in windows:
        real = row[row > 0]
        row[:] = np.resize(real[::-1], length)[::-1]
    return windows


def single(array: np.ndarray) -> torch.Tensor:
    """As a tensor in single precision."""
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
