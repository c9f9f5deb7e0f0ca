"""Random draws inside a loss, made again: dropout is differentiated with the masks that training drew."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RandomState:
    """The state of PyTorch's default generators: the CPU's, and a CUDA device's where the run is on one."""

    cpu: Tensor
    cuda: Tensor | None
    device: torch.device

    @staticmethod
    def now(device: torch.device) -> "RandomState":
        """The state at this moment, as far as operations on `device` draw from it."""
        cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return RandomState(torch.get_rng_state(), cuda, device)

    def same(self, other: "RandomState") -> bool:
        """Whether nothing was drawn between the two."""
        same_cuda = self.cuda is None or (other.cuda is not None and torch.equal(self.cuda, other.cuda))
        return same_cuda and torch.equal(self.cpu, other.cpu)

    def restore(self) -> None:
        """Make the generators draw from here on."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)


@contextmanager
def replayed(state: RandomState | None) -> Iterator[None]:
    """Draw within the block as from `state` on, and go on afterwards as if nothing had been drawn."""
    if state is None:
        yield
        return
    before = RandomState.now(state.device)
    state.restore()
    try:
        yield
    finally:
        before.restore()
