"""TorchOpt (Ren et al., arXiv 2211.06934)."""

import torchopt

from benchmarks.metagradient.contestants.in_torch import Tensors
from benchmarks.metagradient.problem import TINY, Array, Problem


class TorchOpt:
    """`torchopt.MetaAdam`, which puts each step's weights, with their graph, into the module."""

    def __init__(self, loss: str = "plain") -> None:
        self.loss = loss

    def prepare(self, problem: Problem) -> None:
        """See `Contestant`."""
        self.problem, self.tensors = problem, Tensors.of(problem, self.loss)
        self.first = torchopt.extract_state_dict(self.tensors.module, by="reference")

    def run(self) -> Array:
        """See `Contestant`."""
        tensors, problem = self.tensors, self.problem
        optimizer = torchopt.MetaAdam(
            tensors.module, problem.learning_rate, eps=problem.epsilon, eps_root=TINY
        )
        for _ in range(problem.sizes.steps):
            optimizer.step(tensors.module(tensors.events))
        result = tensors.events_bar(tensors.module(tensors.real))
        torchopt.recover_state_dict(tensors.module, self.first)
        return result
