"""Plain autograd through the unrolled loop: what everybody writes first, and the reference for all others."""

import torch

from benchmarks.metagradient.contestants.in_torch import Tensors
from benchmarks.metagradient.problem import TINY, Array, Problem


class Autograd:
    """T steps with `create_graph=True`, and one backward pass through all of them."""

    def __init__(self, loss: str = "plain") -> None:
        self.loss = loss

    def prepare(self, problem: Problem) -> None:
        """See `Contestant`."""
        self.problem, self.tensors = problem, Tensors.of(problem, self.loss)

    def run(self) -> Array:
        """See `Contestant`."""
        tensors, rate, epsilon = self.tensors, self.problem.learning_rate, self.problem.epsilon
        theta = {name: leaf.requires_grad_() for name, leaf in tensors.theta0().items()}
        mean = square = [torch.zeros_like(leaf) for leaf in theta.values()]
        for t in range(1, self.problem.sizes.steps + 1):
            value = tensors.loss(theta, tensors.events)
            gradient = torch.autograd.grad(value, list(theta.values()), create_graph=True)
            mean = [0.9 * m + 0.1 * g for m, g in zip(mean, gradient, strict=True)]
            square = [0.999 * v + 0.001 * g * g for v, g in zip(square, gradient, strict=True)]
            theta = {
                name: leaf - rate * (m / (1 - 0.9**t)) / (((v + TINY) / (1 - 0.999**t)).sqrt() + epsilon)
                for (name, leaf), m, v in zip(theta.items(), mean, square, strict=True)
            }
        return tensors.events_bar(tensors.loss(theta, tensors.real))
