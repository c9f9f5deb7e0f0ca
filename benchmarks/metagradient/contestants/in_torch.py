"""What the PyTorch contestants share: the problem as tensors, and the loss as a module, made in two ways."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from benchmarks.metagradient.problem import Array, Problem
from farzi.models import SASRec
from farzi.training import NextEvent


class PlainNextEvent(nn.Module):
    """The next-event loss as one would write it down: all logits at once, differentiated by PyTorch.

    The same values as `farzi.training.NextEvent`, which goes through the positions in chunks.
    """

    def __init__(self, student: SASRec) -> None:
        super().__init__()
        self.student = student

    def forward(self, events: Tensor) -> Tensor:
        """Mean cross-entropy of the next event: of soft events (B, L, V) or of indices (B, L)."""
        vectors, table = self.student.embed(events), self.student.output_table
        soft = events.is_floating_point()
        hidden = self.student.hidden(vectors[:, :-1], None if soft else events[:, :-1] > 0)  # (B, L−1, width)
        normaliser = torch.logsumexp(hidden @ table[1:].T, dim=-1)
        losses = normaliser - (hidden * vectors[:, 1:]).sum(-1)
        return losses.mean() if soft else losses[events[:, 1:] > 0].mean()


LOSSES = {"plain": PlainNextEvent, "chunked": NextEvent}


@dataclass(frozen=True, eq=False)
class Tensors:
    """A problem as tensors.

    Attributes:
        module: the loss, whose parameters have the first weights as values.
        events: X, (sequences, length, V); requires a gradient.
        real: (real, length).
    """

    module: nn.Module
    events: Tensor
    real: Tensor

    @staticmethod
    def of(problem: Problem, loss: str) -> "Tensors":
        """The tensors of `problem`, with the loss of that name in `LOSSES`."""
        sizes = problem.sizes
        student = SASRec(sizes.vocabulary, sizes.length - 1, sizes.hidden, sizes.layers, sizes.heads)
        events = torch.from_numpy(problem.events).to(problem.device).requires_grad_()
        student.to(device=events.device, dtype=events.dtype)
        student.load_state_dict({name: torch.from_numpy(leaf) for name, leaf in problem.theta0.items()})
        return Tensors(LOSSES[loss](student), events, torch.from_numpy(problem.real).to(problem.device))

    def theta0(self) -> dict[str, Tensor]:
        """The first weights under the module's names, detached."""
        return {name: leaf.detach() for name, leaf in self.module.named_parameters()}

    def loss(self, theta: dict[str, Tensor], events: Tensor, batch: None = None) -> Tensor:
        """The loss at other weights, on soft or on real events."""
        return functional_call(self.module, theta, (events,))

    def events_bar(self, value: Tensor) -> Array:
        """The derivative of `value` with respect to X."""
        (bar,) = torch.autograd.grad(value, self.events)
        return bar.cpu().numpy()
