"""The engine through its public interface: a metagradient, and plain training."""

from typing import Any

import torch

from benchmarks.metagradient.contestants.in_torch import Tensors
from benchmarks.metagradient.problem import Array, Problem
from farzi.unroll import Adam, train, unroll


class Engine:
    """`farzi.unroll.unroll`.

    Args:
        loss: "chunked", the project's own, or "plain".
        options: handed to `unroll` as they are: `memory`, `curvature` and whatever else it takes.
    """

    def __init__(self, loss: str = "chunked", **options: Any) -> None:
        self.loss, self.options = loss, options

    def prepare(self, problem: Problem) -> None:
        """See `Contestant`."""
        self.tensors = Tensors.of(problem, self.loss)
        self.optimizer = Adam(problem.learning_rate, epsilon=problem.epsilon)
        self.batches = [None] * problem.sizes.steps

    def run(self) -> Array:
        """See `Contestant`."""
        tensors = self.tensors
        theta = unroll(
            tensors.loss, tensors.theta0(), tensors.events, self.optimizer, self.batches, **self.options
        )
        return tensors.events_bar(tensors.loss(theta, tensors.real))


class EngineTraining(Engine):
    """`farzi.unroll.train`: the engine's own plain training. Arguments as for `Engine`, without `memory`."""

    def run(self) -> Array:
        """See `Contestant`."""
        tensors = self.tensors
        events = tensors.events.detach()
        end = train(tensors.loss, tensors.theta0(), events, self.optimizer, self.batches, **self.options)
        return torch.cat([leaf.flatten() for leaf in end.theta.values()]).cpu().numpy()
