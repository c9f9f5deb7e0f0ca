"""A language model of long short-term memory (Zaremba et al., arXiv 1409.2329)."""

import torch
from torch import Tensor, nn

from farzi.models.recurrence import lstm
from farzi.models.recurrent import CLOSED, Recurrent, is_padding, uniform


class LSTMLayer(nn.Module):
    """A layer of long short-term memory, as `torch.nn.LSTM`; padding on the left leaves its state at 0."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.input = nn.Linear(hidden, 4 * hidden)
        self.weight = nn.Parameter(uniform(4 * hidden, hidden))

    def forward(self, states: Tensor, real: Tensor | None) -> Tensor:
        x = self.input(states.transpose(0, 1))  # (L, B, 4 width)
        if real is not None:
            write, *rest = x.chunk(4, -1)
            # nothing is written into the cell, which is 0 before the first item
            x = torch.cat([write.masked_fill(is_padding(real), -CLOSED), *rest], -1)
        return lstm(x, self.weight).transpose(0, 1)


class LSTM(Recurrent):
    """A language model of long short-term memory; arguments as for `Recurrent`."""

    @staticmethod
    def layer(hidden: int) -> nn.Module:
        """An `LSTMLayer`."""
        return LSTMLayer(hidden)

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        return self.outputs(vectors, real)
