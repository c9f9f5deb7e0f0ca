"""An optimizer from outside the package: stochastic gradient descent with Nesterov's momentum."""

from dataclasses import dataclass

from torch import Tensor

from farzi.unroll import Optimizer, State


@dataclass(frozen=True)
class Nesterov(Optimizer):
    """b ← μ b + g;  θ ← θ − α (g + μ b)."""

    learning_rate: float | Tensor = 0.1
    momentum: float = 0.9

    slots = 1

    def update(self, gradient: Tensor, state: State, theta: Tensor) -> tuple[Tensor, State]:
        rate = self.learning_rate
        if isinstance(rate, Tensor) and rate.ndim:
            rate = rate[state.step]
        (velocity,) = state.slots
        velocity = self.momentum * velocity + gradient
        return theta - rate * (gradient + self.momentum * velocity), State(state.step + 1, (velocity,))
