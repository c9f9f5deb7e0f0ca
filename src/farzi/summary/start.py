"""What a summary starts from: strategies as values.

A start from the data matters as much as the outer loop: `Transitions` is for logs, `Classes` for texts.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from farzi.data import Sequences, crops
from farzi.summary.summary import Summary


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
    own_targets: bool = False


class Start(Protocol):
    """Makes the first values of a summary."""

    def __call__(self, size: Size, log: Sequences, rng: np.random.Generator) -> Summary:
        """A summary of that size for the training sequences `log`."""
        ...


@dataclass(frozen=True)
class Gaussian:
    """Normal latents and decoder: logits of standard deviation `spread`."""

    spread: float = 1.0

    def __call__(self, size: Size, log: Sequences, rng: np.random.Generator) -> Summary:
        """Ignores `log`."""
        latents = rng.standard_normal((size.sequences, size.length, size.dim))
        noise = rng.standard_normal((size.dim, size.vocabulary))
        decoder = noise * self.spread * size.temperature / size.dim**0.5
        return Summary(single(latents), single(decoder), size.temperature)


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
