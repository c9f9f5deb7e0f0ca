"""Recurrent models: GRU4Rec, and language models of gated recurrent units and of long short-term memory.

A layer's projections of its input are one matrix product over all positions. What remains is one of the
recurrences of `farzi.models.recurrence`; in training on real events, which takes no second derivative,
PyTorch's own, which are faster (decision 9).
"""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from farzi.models.base import TableModel
from farzi.models.recurrence import gru, lstm

CLOSED = 1e4
"""A gate's input at which it is closed, or open, to the last bit, with a derivative of 0."""


class GRULayer(nn.Module):
    """A layer of gated recurrent units, as `torch.nn.GRU`; padding on the left leaves its state at 0."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.input = nn.Linear(hidden, 3 * hidden)
        self.weight = nn.Parameter(_uniform(3 * hidden, hidden))
        self.bias = nn.Parameter(_uniform(hidden))

    def forward(self, states: Tensor, real: Tensor | None) -> Tensor:
        if self.training:
            hidden_bias = F.pad(self.bias, (2 * len(self.bias), 0))
            return _fused(torch.gru, 1, states, self.input, self.weight, hidden_bias)
        x = self.input(states.transpose(0, 1))  # (L, B, 3 width)
        if real is not None:
            reset, update, candidate = x.chunk(3, -1)
            update = update.masked_fill(_padding(real), CLOSED)  # h_t = h_{t−1}, which is 0
            x = torch.cat([reset, update, candidate], -1)
        return gru(x, self.weight, self.bias).transpose(0, 1)


class LSTMLayer(nn.Module):
    """A layer of long short-term memory, as `torch.nn.LSTM`; padding on the left leaves its state at 0."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.input = nn.Linear(hidden, 4 * hidden)
        self.weight = nn.Parameter(_uniform(4 * hidden, hidden))

    def forward(self, states: Tensor, real: Tensor | None) -> Tensor:
        if self.training:
            return _fused(torch.lstm, 2, states, self.input, self.weight, torch.zeros_like(self.input.bias))
        x = self.input(states.transpose(0, 1))  # (L, B, 4 width)
        if real is not None:
            write, *rest = x.chunk(4, -1)
            # nothing is written into the cell, which is 0 before the first item
            x = torch.cat([write.masked_fill(_padding(real), -CLOSED), *rest], -1)
        return lstm(x, self.weight).transpose(0, 1)


class Recurrent(TableModel):
    """Recurrent layers over the embeddings. Dropout acts on each layer's input and output, not in time.

    Arguments as for `TableModel`, with `layers`, their number. `hidden` takes sequences of any length.
    """

    layer: ClassVar[type[nn.Module]]

    def __init__(
        self, vocabulary: int, length: int, hidden: int = 32, layers: int = 1, tied: bool = True
    ) -> None:
        super().__init__(vocabulary, length, hidden, tied)
        self.layers = nn.ModuleList(self.layer(hidden) for _ in range(layers))

    @property
    def any_length(self) -> bool:
        return True

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        states, padding = vectors * self.scale, None
        if self.training and real is not None and not (real.is_cpu and bool(real.all())):
            padding = (~real).sum(1)
            states = _turned(states, padding)  # what stands at the end is read by nothing
        states = self.drop(states)
        for layer in self.layers:
            states = self.drop(layer(states, real))
        return states if padding is None else _turned(states, -padding)


LANGUAGE_DEVIATION = 0.1
"""Of the first embeddings of language models: with 0.02 two layers of width 200 long stay at the words'
frequencies."""


class GRU(Recurrent):
    """A language model of gated recurrent units."""

    layer, deviation = GRULayer, LANGUAGE_DEVIATION


class LSTM(Recurrent):
    """A language model of long short-term memory (Zaremba et al., arXiv 1409.2329)."""

    layer, deviation = LSTMLayer, LANGUAGE_DEVIATION


class GRU4Rec(Recurrent):
    """Recommendation by gated recurrent units (Hidasi et al., arXiv 1511.06939), with cross-entropy.

    A dense layer follows the last of them, as in RecBole and other libraries.
    """

    layer = GRULayer

    def __init__(
        self, vocabulary: int, length: int, hidden: int = 32, layers: int = 1, tied: bool = True
    ) -> None:
        super().__init__(vocabulary, length, hidden, layers, tied)
        self.dense = nn.Linear(hidden, hidden)

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        return self.dense(super().hidden(vectors, real))


def _fused(
    recurrence: Callable[..., Any], parts: int, states: Tensor, into: nn.Linear, weight: Tensor, bias: Tensor
) -> Tensor:
    """States (B, L, width) of one layer by `torch.gru` or `torch.lstm`, whose own have one or two parts."""
    device = states.device.type
    lowered = device in ("cpu", "cuda") and torch.is_autocast_enabled(device)
    precision = torch.get_autocast_dtype(device) if lowered else weight.dtype
    given = (states, into.weight, weight, into.bias, bias)
    states, *weights = (one.to(precision) for one in given)  # once, and not again at each step
    zeros = states.new_zeros(1, len(states), weight.shape[1])
    first = zeros if parts == 1 else (zeros,) * parts
    return recurrence(states, first, weights, True, 1, 0.0, True, False, True)[0]


def _turned(states: Tensor, by: Tensor) -> Tensor:
    """Each row of states (B, L, width) turned to the left by as many positions, (B,)."""
    batch, length = states.shape[:2]
    places = (torch.arange(length, device=by.device) + by.unsqueeze(1)) % length
    places = places + length * torch.arange(batch, device=by.device).unsqueeze(1)
    return states.flatten(0, 1).index_select(0, places.flatten()).view(states.shape)


def _padding(real: Tensor) -> Tensor:
    """Which positions are padding, with time first: (L, B, 1)."""
    return ~real.T.unsqueeze(-1)


def _uniform(*shape: int) -> Tensor:
    """First weights, uniform within ± 1/√width."""
    return (torch.rand(shape) * 2 - 1) / shape[-1] ** 0.5
