"""What recurrent models have in common: layers over the embeddings, and how a layer passes over padding.

A layer's projections of its input are one matrix product over all positions. What remains is one of the
recurrences of `farzi.models.recurrence`.
"""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from farzi.models.base import TableModel

CLOSED = 1e4
"""A gate's input at which it is closed, or open, to the last bit, with a derivative of 0."""


class Recurrent(TableModel):
    """Recurrent layers over the embeddings. Dropout acts on each layer's input and output, not in time.

    Args:
        vocabulary: V, number of items with padding.
        length: the longest sequence that `top_k` reads; `hidden` takes longer ones as well.
        hidden: width of embeddings and hidden states.
        layers: number of recurrent layers.
        deviation: standard deviation of the first embeddings.
        tied: whether the output table is the embedding table.
    """

    def __init__(
        self,
        vocabulary: int,
        length: int,
        hidden: int = 32,
        layers: int = 1,
        deviation: float = 0.02,
        tied: bool = True,
    ) -> None:
        super().__init__(vocabulary, length, hidden, deviation, tied)
        self.layers = nn.ModuleList(self.layer(hidden) for _ in range(layers))

    @staticmethod
    @abstractmethod
    def layer(hidden: int) -> nn.Module:
        """A layer of that width: maps states (B, L, width), and `real` as in `hidden`, to states."""

    def outputs(self, vectors: Tensor, real: Tensor | None) -> Tensor:
        """The states of the last layer, (B, L, width); arguments as for `hidden`."""
        states = self.drop(vectors * self.scale)
        for layer in self.layers:
            states = self.drop(layer(states, real))
        return states


def is_padding(real: Tensor) -> Tensor:
    """Which positions are padding, with time first: (L, B, 1)."""
    return ~real.T.unsqueeze(-1)


def uniform(*shape: int) -> Tensor:
    """First weights, uniform within ± 1/√width."""
    return (torch.rand(shape) * 2 - 1) / shape[-1] ** 0.5
