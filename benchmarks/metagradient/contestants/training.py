"""Plain training, compiled: what a metagradient's time is divided by."""

import torch
from torch import Tensor

from benchmarks.metagradient.contestants.in_torch import Tensors
from benchmarks.metagradient.problem import Array, Problem

Theta = dict[str, Tensor]


class Training:
    """T steps of gradient and Adam, each one graph of `torch.compile`, loss and all. Nothing is kept."""

    def prepare(self, problem: Problem) -> None:
        """See `Contestant`."""
        self.problem, self.tensors = problem, Tensors.of(problem, "plain")
        self.step = torch.compile(self._step, fullgraph=True)

    def run(self) -> Array:
        """See `Contestant`."""
        events, theta = self.tensors.events.detach(), self.tensors.theta0()
        mean = {name: torch.zeros_like(leaf) for name, leaf in theta.items()}
        square = {name: torch.zeros_like(leaf) for name, leaf in theta.items()}
        for t in range(1, self.problem.sizes.steps + 1):
            # as tensors, so that no value of t is compiled in
            unbias = torch.tensor([1 - 0.9**t, 1 - 0.999**t], dtype=events.dtype, device=events.device)
            theta, mean, square = self.step(theta, mean, square, events, unbias)
        return torch.cat([leaf.flatten() for leaf in theta.values()]).cpu().numpy()

    def _step(
        self, theta: Theta, mean: Theta, square: Theta, events: Tensor, unbias: Tensor
    ) -> tuple[Theta, Theta, Theta]:
        g = torch.func.grad(self.tensors.loss)(theta, events)
        mean = {name: 0.9 * mean[name] + 0.1 * g[name] for name in theta}
        square = {name: 0.999 * square[name] + 0.001 * g[name] * g[name] for name in theta}
        rate, epsilon = self.problem.learning_rate, self.problem.epsilon
        after = {
            name: leaf - rate * (mean[name] / unbias[0]) / ((square[name] / unbias[1]).sqrt() + epsilon)
            for name, leaf in theta.items()
        }
        return after, mean, square
