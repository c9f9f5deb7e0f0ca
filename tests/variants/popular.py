"""An initializer from outside the package: popularity everywhere, and a little noise."""

from dataclasses import dataclass

import numpy as np

from farzi.data import Sequences
from farzi.summary import Ensemble, Size, SummaryTensors
from farzi.summary.initializers.base import single


@dataclass(frozen=True)
class Popular:
    """The first latent is 1 and decoded to log popularity; the others are noise."""

    noise: float = 0.1

    def __call__(
        self, size: Size, log: Sequences, rng: np.random.Generator, teachers: Ensemble | None = None
    ) -> SummaryTensors:
        counts = np.bincount(log.items, minlength=size.vocabulary) + 1.0
        latents = self.noise * rng.standard_normal((size.sequences, size.length, size.dim))
        decoder = rng.standard_normal((size.dim, size.vocabulary))
        latents[..., 0], decoder[0] = 1.0, np.log(counts)
        return SummaryTensors(single(latents), single(decoder), size.temperature)
