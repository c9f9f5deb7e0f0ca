"""`higher` (Grefenstette et al., arXiv 1910.01727)."""

import higher
import torch

from benchmarks.metagradient.contestants.in_torch import Tensors
from benchmarks.metagradient.problem import Array, Problem


class Higher:
    """A monkey-patched module and a differentiable `torch.optim.Adam`.

    Its Adam adds ε to √v before the bias of v is taken out, PyTorch's after: the ε of each step is set so
    that both are the same.
    """

    def __init__(self, loss: str = "plain") -> None:
        self.loss = loss

    def prepare(self, problem: Problem) -> None:
        """See `Contestant`."""
        self.problem, self.tensors = problem, Tensors.of(problem, self.loss)

    def run(self) -> Array:
        """See `Contestant`."""
        tensors, problem = self.tensors, self.problem
        adam = torch.optim.Adam(tensors.module.parameters(), problem.learning_rate, eps=problem.epsilon)
        with higher.innerloop_ctx(tensors.module, adam, copy_initial_weights=False) as (module, optimizer):
            for t in range(1, problem.sizes.steps + 1):
                epsilon = problem.epsilon * (1 - 0.999**t) ** 0.5
                optimizer.step(module(tensors.events), override={"eps": [epsilon]})
            return tensors.events_bar(module(tensors.real))
