"""SASRec: a causal Transformer over a user's last events (Kang and McAuley, arXiv 1808.09781)."""

import torch
from torch import Tensor, nn

from farzi.models.base import TableModel
from farzi.models.blocks import Block, Norm, blocked_positions


class SASRec(TableModel):
    """Self-attentive sequential recommendation with pre-normalised blocks.

    Args:
        vocabulary: V, number of items with padding.
        length: the longest sequence; positions are counted from the sequence's end, so that the newest item
            always has the same position embedding.
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
        self.blocks = nn.ModuleList(Block(hidden, heads, inner=hidden) for _ in range(layers))
        self.norm = Norm(hidden)

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        length = vectors.shape[1]
        self.check_length(length)
        blocked = blocked_positions(vectors, real)
        states = self.drop(vectors * self.scale + self.position[self.length - length :])
        for block in self.blocks:
            states = block(states, blocked, self.drop)
        return self.norm(states)
