"""The parts of the attentive models: normalisation, attention blocks and the causal mask."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


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
    """Attention and a feed-forward layer, each normalised first and added to its input.

    Args:
        hidden: width of the states.
        heads: attention heads; must divide `hidden`.
        inner: width inside the feed-forward layer.
        activation: its nonlinearity.
    """

    def __init__(
        self, hidden: int, heads: int, inner: int, activation: Callable[[Tensor], Tensor] = torch.relu
    ) -> None:
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
        """The states after the block, (B, L, width).

        Args:
            states: (B, L, width).
            blocked: see `blocked_positions`.
            drop: dropout, for the output of the attention and of the feed-forward layer.
        """
        batch, length, width = states.shape
        split = (batch, length, self.heads, width // self.heads)
        q, k, v = (part.view(split).transpose(1, 2) for part in self.qkv(self.norm1(states)).chunk(3, dim=-1))
        scores = q @ k.transpose(-2, -1) / (width // self.heads) ** 0.5  # (B, heads, L, L)
        mask = blocked if blocked.ndim == 2 else blocked.unsqueeze(1)
        weights = scores.masked_fill(mask, -torch.inf).softmax(-1)
        attended = (weights @ v).transpose(1, 2).reshape(batch, length, width)
        states = states + drop(self.out(attended))
        return states + drop(self.outer(self.activation(self.inner(self.norm2(states)))))


def blocked_positions(vectors: Tensor, real: Tensor | None) -> Tensor:
    """Which positions (columns) a position (row) must not read: later ones and padding; (L, L) or (B, L, L).

    Args:
        vectors: embedded items, (B, L, width).
        real: which positions hold an item, (B, L); None if all do.
    """
    length = vectors.shape[1]
    future = torch.ones(length, length, dtype=torch.bool, device=vectors.device).triu(1)  # (L, L)
    blocked = future if real is None else future | ~real.unsqueeze(1)  # (B, L, L)
    # A padded position would have nothing to attend to: it reads itself, and nothing reads it.
    return blocked & ~torch.eye(length, dtype=torch.bool, device=vectors.device)
