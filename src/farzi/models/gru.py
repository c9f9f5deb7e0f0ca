"""Layers of gated recurrent units, and a language model made of them."""

import torch
from torch import Tensor, nn

from farzi.models.recurrence import gru
from farzi.models.recurrent import CLOSED, Recurrent, is_padding, uniform


class GRULayer(nn.Module):
    """A layer of gated recurrent units, as `torch.nn.GRU`; padding on the left leaves its state at 0."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.input = nn.Linear(hidden, 3 * hidden)
        self.weight = nn.Parameter(uniform(3 * hidden, hidden))
        self.bias = nn.Parameter(uniform(hidden))

    def forward(self, states: Tensor, real: Tensor | None) -> Tensor:
        x = self.input(states.transpose(0, 1))  # (L, B, 3 width)
        if real is not None:
            reset, update, candidate = x.chunk(3, -1)
            update = update.masked_fill(is_padding(real), CLOSED)  # h_t = h_{t−1}, which is 0
            x = torch.cat([reset, update, candidate], -1)
        return gru(x, self.weight, self.bias).transpose(0, 1)


class GRU(Recurrent):
    """A language model of gated recurrent units; arguments as for `Recurrent`."""

    @staticmethod
    def layer(hidden: int) -> nn.Module:
        """A `GRULayer`."""
        return GRULayer(hidden)

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        return self.outputs(vectors, real)
