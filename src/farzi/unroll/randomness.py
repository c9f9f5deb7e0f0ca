"""Random draws inside a loss, repeated: dropout is differentiated with the masks of the forward run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RandomState:
    """The state of PyTorch's default generators: the CPU's, and that of the run's device if it is CUDA."""

    cpu: Tensor
    cuda: Tensor | None
    device: torch.device

    @staticmethod
    def now(device: torch.device) -> "RandomState":
        """The current state of the generators from which operations on `device` draw."""
        cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return RandomState(torch.get_rng_state(), cuda, device)

    def same(self, other: "RandomState") -> bool:
        """Whether nothing was drawn between the two."""
        same_cuda = self.cuda is None or (other.cuda is not None and torch.equal(self.cuda, other.cuda))
        return same_cuda and torch.equal(self.cpu, other.cpu)


@contextmanager
def replayed(state: RandomState | None) -> Iterator[None]:
    """Draw within the block from `state` on; afterwards the generators are as they were before it.

    Without a state the block draws as usual.
    """
    if state is None:
        yield
        return
    with torch.random.fork_rng([] if state.cuda is None else [state.device]):
        torch.set_rng_state(state.cpu)
        if state.cuda is not None:
            torch.cuda.set_rng_state(state.cuda, state.device)
        yield
