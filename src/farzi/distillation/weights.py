"""Where inner runs begin: first weights of a student, as strategies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from farzi.recipe import StudentSettings
from farzi.training import NextEvent, make_student

Theta = dict[str, Tensor]


class Weights(Protocol):
    """Draws the weights that an inner run begins with."""

    def __call__(self, rng: np.random.Generator) -> Theta:
        """Parameters under the names that `NextEvent` gives them."""
        ...


@dataclass(frozen=True, eq=False)
class Fresh:
    """New random weights, as every training on the finished summary begins with.

    Attributes:
        loss: gives the parameters' names.
        settings: the architecture.
        vocabulary: V.
        window: events in the sequences trained on.
    """

    loss: NextEvent
    settings: StudentSettings
    vocabulary: int
    window: int

    def __call__(self, rng: np.random.Generator) -> Theta:
        """See `Weights`."""
        seed = int(rng.integers(2**62))
        device = self.loss.student.device
        student = make_student(self.settings, self.vocabulary, self.window, seed, device)
        return self.loss.parameters_of(student)


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A checkpoint of a trajectory: weights on the way of a training on the real log (the paper's Ω).

    Attributes:
        checkpoints: weights to draw from, alike.
    """

    checkpoints: Sequence[Theta]

    def __call__(self, rng: np.random.Generator) -> Theta:
        """See `Weights`."""
        return self.checkpoints[int(rng.integers(len(self.checkpoints)))]


@dataclass(frozen=True, eq=False)
class Mixed:
    """Either of two, with equal chances."""

    first: Weights
    second: Weights

    def __call__(self, rng: np.random.Generator) -> Theta:
        """See `Weights`."""
        return self.first(rng) if rng.random() < 0.5 else self.second(rng)
