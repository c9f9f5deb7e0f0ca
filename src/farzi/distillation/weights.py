"""First weights of inner runs, one variant a class."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

Theta = dict[str, Tensor]
"""A model's parameters by name, as `farzi.training.NextEvent` names them."""


class Weights(Protocol):
    """Draws the weights that an inner run starts from.

    One that has an attribute `trajectories = True` gets weights recorded along a full-data training.
    """

    def __call__(
        self,
        rng: np.random.Generator,
        fresh: Callable[[np.random.Generator], Theta],
        recorded: Sequence[Theta],
    ) -> Theta:
        """The weights of one run.

        Args:
            rng: for all random draws.
            fresh: draws new random weights.
            recorded: weights along a full-data training, in the order of their steps; empty if not wanted.
        """
        ...


@dataclass(frozen=True)
class FreshWeights:
    """New random weights, as every training on a finished summary starts from."""

    def __call__(
        self,
        rng: np.random.Generator,
        fresh: Callable[[np.random.Generator], Theta],
        recorded: Sequence[Theta],
    ) -> Theta:
        """See `Weights`."""
        return fresh(rng)


@dataclass(frozen=True)
class PretrainedWeights:
    """Weights along a full-data training (Ω in the paper), or fresh ones for part of the runs.

    Attributes:
        share: share of the runs that start from recorded weights.
    """

    share: float = 1.0
    trajectories = True

    def __call__(
        self,
        rng: np.random.Generator,
        fresh: Callable[[np.random.Generator], Theta],
        recorded: Sequence[Theta],
    ) -> Theta:
        """See `Weights`."""
        if self.share < 1 and rng.random() < 1 - self.share:
            return fresh(rng)
        return recorded[int(rng.integers(len(recorded)))]
