"""A causal Transformer language model, in the form of GPT-2 (Radford et al. 2019)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from farzi.models.base import TableModel
from farzi.models.blocks import Block, Norm, blocked_positions


class TransformerLM(TableModel):
    """Pre-normalised blocks with a feed-forward layer of four times the width and GELU.

    Args:
        vocabulary: V, number of tokens with padding.
        length: the longest sequence. Positions are counted from a sequence's first token, so that a short
            context looks like the beginning of a long one, which occurs in training.
        hidden: width of embeddings and hidden states.
        layers: number of blocks.
        heads: attention heads in each block; must divide `hidden`.
        deviation: standard deviation of the first embeddings.
        tied: whether the output table is the embedding table.
    """

    def __init__(
        self,
        vocabulary: int,
        length: int,
        hidden: int = 32,
        layers: int = 1,
        heads: int = 1,
        deviation: float = 0.02,
        tied: bool = True,
    ) -> None:
        super().__init__(vocabulary, length, hidden, deviation, tied)
        self.position = nn.Parameter(torch.randn(length, hidden) * deviation)
        self.blocks = nn.ModuleList(Block(hidden, heads, 4 * hidden, F.gelu) for _ in range(layers))
        self.norm = Norm(hidden)

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        length = vectors.shape[1]
        self.check_length(length)
        blocked = blocked_positions(vectors, real)
        if real is None:
            position = self.position[:length]
        else:
            position = self.position[(real.cumsum(1) - 1).clamp(min=0)]  # (B, L, width)
        states = self.drop(vectors * self.scale + position * self.scale)
        for block in self.blocks:
            states = block(states, blocked, self.drop)
        return self.norm(states)
