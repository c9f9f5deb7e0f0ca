"""Attentive models: SASRec and a Transformer language model, from one of several kinds of blocks."""

from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from farzi.models.base import DEVIATION, TableModel


class Norm(nn.Module):
    """Layer normalisation. Outside training on real events in plain operations: the fused one's second
    derivative is many times slower.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(hidden))
        self.bias = nn.Parameter(torch.zeros(hidden))

    def forward(self, states: Tensor) -> Tensor:
        if self.training:
            return F.layer_norm(states, self.gain.shape, self.gain, self.bias, 1e-5)
        centred = states - states.mean(-1, keepdim=True)
        variance = (centred * centred).mean(-1, keepdim=True)
        return centred * torch.rsqrt(variance + 1e-5) * self.gain + self.bias


class Context(NamedTuple):
    """What all blocks of a model share in one pass."""

    blocked: Tensor  # positions (columns) that a position (row) must not read, (L, L) or (B, L, L)
    rotation: tuple[Tensor, Tensor] | None  # cosines and sines, (L, width of a head / 2) each
    drop: Callable[[Tensor], Tensor]


class Attention(nn.Module):
    """Causal self-attention: queries of one input, keys and values of another; and the norms of a block."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        if hidden % heads:
            raise ValueError(f"heads={heads} must divide hidden={hidden}")
        self.heads = heads
        self.norm1 = Norm(hidden)
        self.norm2 = Norm(hidden)
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.out = nn.Linear(hidden, hidden)

    def attention(self, reader: Tensor, read: Tensor, context: Context) -> Tensor:
        """What a position reads, (B, L, width), from the queries' and the keys' input, each (B, L, width)."""
        if reader is read:
            queries, keys, values = self.qkv(read).chunk(3, dim=-1)
        else:
            sizes = [read.shape[-1], 2 * read.shape[-1]]
            (first, rest), (one, more) = self.qkv.weight.split(sizes), self.qkv.bias.split(sizes)
            queries = F.linear(reader, first, one)
            keys, values = F.linear(read, rest, more).chunk(2, dim=-1)
        return context.drop(self.out(self._attended(queries, keys, values, context)))

    def _attended(self, queries: Tensor, keys: Tensor, values: Tensor, context: Context) -> Tensor:
        """The values' means by each position's weights, (B, L, width)."""
        batch, length, width = queries.shape
        split = (batch, length, self.heads, width // self.heads)
        q, k, v = (part.view(split).transpose(1, 2) for part in (queries, keys, values))
        if context.rotation is not None:
            q, k = _rotated(q, context.rotation), _rotated(k, context.rotation)
        scale = (width // self.heads) ** 0.5
        blocked = context.blocked
        if self.training and queries.is_cpu:  # one pass over (B, heads, L, L) instead of three
            flat = (batch * self.heads, length, width // self.heads)
            q, k, v = q.reshape(flat), k.reshape(flat), v.reshape(flat)
            bias = torch.zeros((), dtype=q.dtype).masked_fill(blocked, -torch.inf)
            if blocked.ndim == 3:
                bias = bias.repeat_interleave(self.heads, 0)
            scores = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=1 / scale)
            attended = (scores.softmax(-1) @ v).view(batch, self.heads, length, -1)
        elif self.training:
            allowed = ~(blocked if blocked.ndim == 2 else blocked.unsqueeze(1))
            attended = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        else:
            scores = q @ k.transpose(-2, -1) / scale  # (B, heads, L, L)
            mask = blocked if blocked.ndim == 2 else blocked.unsqueeze(1)
            attended = scores.masked_fill(mask, -torch.inf).softmax(-1) @ v
        return attended.transpose(1, 2).reshape(batch, length, width)


class Block(Attention):
    """Attention and a feed-forward layer, each normalised first and added to its input."""

    def __init__(self, hidden: int, heads: int, inner: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__(hidden, heads)
        self.activation = activation
        self.inner = nn.Linear(hidden, inner)
        self.outer = nn.Linear(inner, hidden)

    def forward(self, states: Tensor, context: Context) -> Tensor:
        normed = self.norm1(states)
        states = states + self.attention(normed, normed, context)
        return states + context.drop(self.outer(self.activation(self.inner(self.norm2(states)))))


class PublishedBlock(Block):
    """A block as in SASRec's code: queries alone are normalised, and what is normalised is added to."""

    def forward(self, states: Tensor, context: Context) -> Tensor:
        normed = self.norm1(states)
        states = self.norm2(normed + self.attention(normed, states, context))
        inside = context.drop(self.activation(self.inner(states)))
        return states + context.drop(self.outer(inside))


class GatedBlock(Attention):
    """A block of LiGR (arXiv 2502.03417), as eSASRec uses it (arXiv 2508.06450): what attention and SwiGLU
    (arXiv 2002.05202) add is gated by the block's input.
    """

    def __init__(self, hidden: int, heads: int, inner: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__(hidden, heads)
        self.gate1 = nn.Linear(hidden, hidden)
        self.gate2 = nn.Linear(hidden, hidden)
        self.inner = nn.Linear(hidden, 2 * inner)
        self.outer = nn.Linear(inner, hidden)

    def forward(self, states: Tensor, context: Context) -> Tensor:
        normed = self.norm1(states)
        states = states + torch.sigmoid(self.gate1(states)) * self.attention(normed, normed, context)
        up, gate = self.inner(self.norm2(states)).chunk(2, dim=-1)
        swish = F.silu(gate) if self.training else gate * torch.sigmoid(gate)  # fused: no forward mode
        added = context.drop(self.outer(swish * up))
        return states + torch.sigmoid(self.gate2(states)) * added


BLOCKS: dict[str, type[nn.Module]] = {"pre_norm": Block, "published": PublishedBlock, "gated": GatedBlock}


class Attentive(TableModel):
    """Attention blocks over embeddings.

    Arguments as for `TableModel`, with `layers`, the number of blocks; `heads`, the attention heads in each,
    whose number must divide `hidden`; `feed_forward`, the width inside their feed-forward layers, by default
    `hidden` times `widening`; `block`, one of `BLOCKS`; and `positions`, "learnt" or "rotary" (Su et al.,
    arXiv 2104.09864).
    """

    position: nn.Parameter | None
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
        feed_forward: int | None = None,
        block: str = "pre_norm",
        positions: str = "learnt",
    ) -> None:
        super().__init__(vocabulary, length, hidden, tied)
        self.rotary = hidden // heads if positions == "rotary" else 0
        learnt = None if self.rotary else nn.Parameter(torch.randn(length, hidden) * DEVIATION)
        self.register_parameter("position", learnt)
        inner = feed_forward or self.widening * hidden
        self.blocks = nn.ModuleList(
            BLOCKS[block](hidden, heads, inner, self.activation) for _ in range(layers)
        )
        self.norm = Norm(hidden)

    @property
    def any_length(self) -> bool:
        return bool(self.rotary)

    @abstractmethod
    def positions(self, table: Tensor, length: int, real: Tensor | None) -> Tensor:
        """What is added to embedded items: (L, width) or (B, L, width)."""

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        length = vectors.shape[1]
        states = vectors * self.scale
        rotation = None
        if self.position is None:
            rotation = _rotation(length, self.rotary, vectors)
        else:
            self.check_length(length)
            states = states + self.positions(self.position, length, real)
        context = Context(_blocked(vectors, real, self.training), rotation, self.drop)
        states = self.drop(states)
        for block in self.blocks:
            states = block(states, context)
        return self.norm(states)


class SASRec(Attentive):
    """Self-attentive sequential recommendation (Kang and McAuley, arXiv 1808.09781).

    Positions are counted from a sequence's end: the newest item always has the same position embedding.
    """

    def positions(self, table: Tensor, length: int, real: Tensor | None) -> Tensor:
        return table[self.length - length :]


class TransformerLM(Attentive):
    """A language model in the form of GPT-2 (Radford et al. 2019): four times the width inside, and GELU.

    Positions are counted from a sequence's first token, so that a short context looks like the beginning of a
    long one, which occurs in training.
    """

    widening = 4
    activation = staticmethod(F.gelu)

    def positions(self, table: Tensor, length: int, real: Tensor | None) -> Tensor:
        if real is None:
            return table[:length] * self.scale
        return table[(real.cumsum(1) - 1).clamp(min=0)] * self.scale  # (B, L, width)


def _blocked(vectors: Tensor, real: Tensor | None, training: bool) -> Tensor:
    """Which positions (columns) a position (row) must not read: later ones, padding; (L, L) or (B, L, L)."""
    length = vectors.shape[1]
    future = torch.ones(length, length, dtype=torch.bool, device=vectors.device).triu(1)  # (L, L)
    if real is None or (training and real.is_cpu and bool(real.all())):  # elsewhere it would be waited for
        return future
    # A padded position would have nothing to attend to: it reads itself, and nothing reads it.
    padding = ~torch.eye(length, dtype=torch.bool, device=vectors.device)
    return (future | ~real.unsqueeze(1)) & padding  # (B, L, L)


def _rotation(length: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines of each position's angles, (L, width / 2) each."""
    frequencies = 10_000.0 ** -(torch.arange(width // 2, device=like.device, dtype=like.dtype) * 2 / width)
    angles = torch.arange(length, device=like.device, dtype=like.dtype)[:, None] * frequencies
    return angles.cos(), angles.sin()


def _rotated(heads: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Pairs of features of queries or keys (B, heads, L, width) turned by their position's angles."""
    cosines, sines = (part.to(heads.dtype) for part in rotation)
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)
