"""Attentive models: SASRec and a Transformer language model, from pre-normalised blocks."""

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from farzi.models.base import DEVIATION, TableModel


class Norm(nn.Module):
    """Layer normalisation in plain operations; the fused one's second derivative is many times slower."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(hidden))
        self.bias = nn.Parameter(torch.zeros(hidden))

    def forward(self, states: Tensor) -> Tensor:
        centred = states - states.mean(-1, keepdim=True)
        variance = (centred * centred).mean(-1, keepdim=True)
        return centred * torch.rsqrt(variance + 1e-5) * self.gain + self.bias


class Block(nn.Module):
    """Attention and a feed-forward layer, each normalised first and added to its input."""

    def __init__(self, hidden: int, heads: int, inner: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        if hidden % heads:
            raise ValueError(f"heads={heads} must divide hidden={hidden}")
        self.heads = heads
        self.activation = activation
        self.norm1 = Norm(hidden)
        self.norm2 = Norm(hidden)
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.out = nn.Linear(hidden, hidden)
        self.inner = nn.Linear(hidden, inner)
        self.outer = nn.Linear(inner, hidden)

    def forward(self, states: Tensor, blocked: Tensor, drop: Callable[[Tensor], Tensor]) -> Tensor:
        batch, length, width = states.shape
        split = (batch, length, self.heads, width // self.heads)
        q, k, v = (part.view(split).transpose(1, 2) for part in self.qkv(self.norm1(states)).chunk(3, dim=-1))
        scores = q @ k.transpose(-2, -1) / (width // self.heads) ** 0.5  # (B, heads, L, L)
        mask = blocked if blocked.ndim == 2 else blocked.unsqueeze(1)
        weights = scores.masked_fill(mask, -torch.inf).softmax(-1)
        attended = (weights @ v).transpose(1, 2).reshape(batch, length, width)
        states = states + drop(self.out(attended))
        return states + drop(self.outer(self.activation(self.inner(self.norm2(states)))))


class Attentive(TableModel):
    """Pre-normalised attention blocks over embeddings with learnt positions.

    Arguments as for `TableModel`, with `layers`, the number of blocks, and `heads`, the attention heads in
    each, whose number must divide `hidden`.
    """

    widening = 1
    activation = staticmethod(torch.relu)

    def __init__(
        self,
        vocabulary: int,
        length: int,
        hidden: int = 32,
        layers: int = 1,
        heads: int = 1,
        tied: bool = True,
    ) -> None:
        super().__init__(vocabulary, length, hidden, tied)
        self.position = nn.Parameter(torch.randn(length, hidden) * DEVIATION)
        inner = self.widening * hidden
        self.blocks = nn.ModuleList(Block(hidden, heads, inner, self.activation) for _ in range(layers))
        self.norm = Norm(hidden)

    @abstractmethod
    def positions(self, length: int, real: Tensor | None) -> Tensor:
        """What is added to embedded items: (L, width) or (B, L, width)."""

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        length = vectors.shape[1]
        self.check_length(length)
        blocked = _blocked(vectors, real)
        states = self.drop(vectors * self.scale + self.positions(length, real))
        for block in self.blocks:
            states = block(states, blocked, self.drop)
        return self.norm(states)


class SASRec(Attentive):
    """Self-attentive sequential recommendation (Kang and McAuley, arXiv 1808.09781).

    Positions are counted from a sequence's end: the newest item always has the same position embedding.
    """

    def positions(self, length: int, real: Tensor | None) -> Tensor:
        return self.position[self.length - length :]


class TransformerLM(Attentive):
    """A language model in the form of GPT-2 (Radford et al. 2019): four times the width inside, and GELU.

    Positions are counted from a sequence's first token, so that a short context looks like the beginning of a
    long one, which occurs in training.
    """

    widening = 4
    activation = staticmethod(F.gelu)

    def positions(self, length: int, real: Tensor | None) -> Tensor:
        if real is None:
            return self.position[:length] * self.scale
        return self.position[(real.cumsum(1) - 1).clamp(min=0)] * self.scale  # (B, L, width)


def _blocked(vectors: Tensor, real: Tensor | None) -> Tensor:
    """Which positions (columns) a position (row) must not read: later ones, padding; (L, L) or (B, L, L)."""
    length = vectors.shape[1]
    future = torch.ones(length, length, dtype=torch.bool, device=vectors.device).triu(1)  # (L, L)
    blocked = future if real is None else future | ~real.unsqueeze(1)  # (B, L, L)
    # A padded position would have nothing to attend to: it reads itself, and nothing reads it.
    return blocked & ~torch.eye(length, dtype=torch.bool, device=vectors.device)
