"""An initial summary of random numbers."""

from dataclasses import dataclass

import numpy as np

from farzi.data import Sequences
from farzi.summary.initializers.base import Size, single
from farzi.summary.initializers.ensemble import Ensemble
from farzi.summary.tensors import SummaryTensors


@dataclass(frozen=True)
class RandomInitializer:
    """Normal latents and decoder.

    Attributes:
        spread: standard deviation of the logits.
    """

    spread: float = 1.0

    def __call__(
        self, size: Size, log: Sequences, rng: np.random.Generator, teachers: Ensemble | None = None
    ) -> SummaryTensors:
        """See `Initializer`; the log is not read."""
        latents = rng.standard_normal((size.sequences, size.length, size.dim))
        noise = rng.standard_normal((size.dim, size.vocabulary))
        decoder = noise * self.spread * size.temperature / size.dim**0.5
        return SummaryTensors(single(latents), single(decoder), size.temperature)
