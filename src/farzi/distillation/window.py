"""Which inner steps an outer step differentiates, and at which learning rates."""

import math
from dataclasses import dataclass, replace

import torch

from farzi.recipe import InnerSettings
from farzi.training import falling, make_optimizer
from farzi.unroll import Optimizer


@dataclass(frozen=True)
class Window:
    """The last K steps of a run.

    Where trainings cool down, so does every window: at the age drawn the run is left, ends as a whole
    training ends, and goes on at its full learning rate as if it had never been left. What is differentiated
    is then what a training gives, not where the last sequences read happened to push it: two draws'
    metagradients, which have hardly anything in common otherwise, agree
    (docs/decisions/0012-cooled-windows.md).

    Attributes:
        steps: K.
        optimizer: of the inner loop, without a cooldown.
        rate: its learning rate.
        cooldown: last steps of an ending run in which the learning rate falls to 0; they need not be whole.
        horizon: T, steps of a whole training.
    """

    steps: int
    optimizer: Optimizer
    rate: float = 0.0
    cooldown: float = 0.0
    horizon: int = 0

    @classmethod
    def of(cls, inner: InnerSettings) -> "Window":
        """That of a recipe's inner loop."""
        constant = make_optimizer(inner.model_copy(update={"cooldown": 0.0}))
        cooldown = inner.cooldown * inner.steps
        return cls(inner.window, constant, inner.learning_rate, cooldown, inner.steps)

    def at(self, factor: float) -> "Window":
        """The same at so many times the learning rate, which is then a tensor, so that all share a graph."""
        rate = factor * self.rate
        value = torch.tensor(rate, dtype=torch.float64)
        return replace(self, rate=rate, optimizer=self.optimizer.with_hypers({"learning_rate": value}))

    @property
    def cools(self) -> bool:
        """Whether a run must be left to end."""
        return self.cooldown > 0

    @property
    def length(self) -> int:
        """Steps from where a run is left to its end, K or more."""
        return max(self.steps, math.ceil(self.cooldown))

    @property
    def running(self) -> Optimizer:
        """The optimizer of runs under way."""
        return self._until(math.inf)

    def ending(self, age: int) -> Optimizer:
        """The optimizer of a run that is left at that age."""
        return self._until(age + self.length)

    def _until(self, end: float) -> Optimizer:
        if not self.cools:
            return self.optimizer
        # of one shape whatever the end, so that they share a compiled graph
        rates = falling(self.rate, end, self.cooldown, self.horizon)
        return self.optimizer.with_hypers({"learning_rate": rates})
