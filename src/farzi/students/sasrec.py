"""SASRec: a causal Transformer over a user's last events (Kang and McAuley, arXiv 1808.09781)."""

import torch
from torch import Tensor, nn

from farzi.students.base import Student


class SASRec(Student):
    """Self-attentive sequential recommendation with tied embeddings, pre-normalised blocks and no dropout.

    Args:
        vocabulary: V, number of events with padding.
        length: the longest sequence; positions are counted from the sequence's end, so that the newest event
            always has the same position embedding.
        hidden: width of embeddings and hidden states.
        layers: number of blocks.
        heads: attention heads a block; must divide `hidden`.
        deviation: standard deviation of the first embeddings.
    """

    def __init__(
        self,
        vocabulary: int,
        length: int,
        hidden: int = 32,
        layers: int = 1,
        heads: int = 1,
        deviation: float = 0.02,
    ) -> None:
        super().__init__()
        self.length = length
        self.embedding = nn.Parameter(torch.randn(vocabulary, hidden) * deviation)
        self.position = nn.Parameter(torch.randn(length, hidden) * deviation)
        self.blocks = nn.ModuleList(Block(hidden, heads) for _ in range(layers))
        self.norm = Norm(hidden)
        self.scale = hidden**0.5

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        length = vectors.shape[1]
        if length > self.length:
            raise ValueError(
                f"a sequence of {length} events is longer than the student's length {self.length}"
            )
        future = torch.ones(length, length, dtype=torch.bool, device=vectors.device).triu(1)  # (L, L)
        blocked = future if real is None else future | ~real.unsqueeze(1)  # (B, L, L)
        # A padded position would have nothing to attend to: it may see itself, and is never read.
        blocked = blocked & ~torch.eye(length, dtype=torch.bool, device=vectors.device)
        states = vectors * self.scale + self.position[self.length - length :]
        for block in self.blocks:
            states = block(states, blocked)
        return self.norm(states)


class Norm(nn.Module):
    """Layer normalisation in plain operations: the fused one's second derivative is many times slower."""

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

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        if hidden % heads:
            raise ValueError(f"heads={heads} must divide hidden={hidden}")
        self.heads = heads
        self.norm1 = Norm(hidden)
        self.norm2 = Norm(hidden)
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.out = nn.Linear(hidden, hidden)
        self.inner = nn.Linear(hidden, hidden)
        self.outer = nn.Linear(hidden, hidden)

    def forward(self, states: Tensor, blocked: Tensor) -> Tensor:
        batch, length, width = states.shape
        split = (batch, length, self.heads, width // self.heads)
        q, k, v = (part.view(split).transpose(1, 2) for part in self.qkv(self.norm1(states)).chunk(3, dim=-1))
        scores = q @ k.transpose(-2, -1) / (width // self.heads) ** 0.5  # (B, heads, L, L)
        mask = blocked if blocked.ndim == 2 else blocked.unsqueeze(1)
        weights = scores.masked_fill(mask, -torch.inf).softmax(-1)
        attended = (weights @ v).transpose(1, 2).reshape(batch, length, width)
        states = states + self.out(attended)
        return states + self.outer(torch.relu(self.inner(self.norm2(states))))
