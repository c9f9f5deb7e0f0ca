r"""FMLP-Rec: learnt filters instead of attention (Zhou et al., arXiv 2202.13556), made causal.

As published a layer multiplies the sequence's Fourier transform by learnt complex weights. That is a circular
convolution over the whole sequence: position t reads later items, so that such a model can only be trained to
predict the item after the last position. Here the same weights stand for the same filter k, with one value
for each lag, but it is applied as

    y_t = Σ_{s ≤ t} k_{t−s} ∘ x_s,

so that every position predicts its next item, and each position of a summary's sequence counts in the loss.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from farzi.models.base import TableModel
from farzi.models.blocks import Norm


class FMLPRec(TableModel):
    """Filters and feed-forward layers of four times the width, each added to its input and then normalised.

    Args:
        vocabulary: V, number of items with padding.
        length: the longest sequence, and that of the filters; positions are counted from the end.
        hidden: width of embeddings and hidden states.
        layers: number of blocks.
        deviation: standard deviation of the first embeddings and spectra.
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
        self.position = nn.Parameter(torch.randn(length, hidden) * deviation)
        self.norm = Norm(hidden)
        self.blocks = nn.ModuleList(FilterBlock(length, hidden, deviation) for _ in range(layers))

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        length = vectors.shape[1]
        self.check_length(length)
        states = self.drop(self.norm(vectors + self.position[self.length - length :]))
        for block in self.blocks:
            if real is not None:
                states = states * real.unsqueeze(-1)  # padding must not enter a filter
            states = block(states, self.drop)
        return states


class FilterBlock(nn.Module):
    """A causal filter and a feed-forward layer, each added to its input and then normalised."""

    def __init__(self, length: int, hidden: int, deviation: float) -> None:
        super().__init__()
        self.filter = CausalFilter(length, hidden, deviation)
        self.norm1 = Norm(hidden)
        self.norm2 = Norm(hidden)
        self.inner = nn.Linear(hidden, 4 * hidden)
        self.outer = nn.Linear(4 * hidden, hidden)

    def forward(self, states: Tensor, drop: Callable[[Tensor], Tensor]) -> Tensor:
        """The states after the block, (B, L, width); `drop` is dropout, for both layers' outputs."""
        states = self.norm1(states + drop(self.filter(states)))
        return self.norm2(states + drop(self.outer(F.gelu(self.inner(states)))))


class CausalFilter(nn.Module):
    """A convolution over this position and those before it, with one filter for each channel.

    The filter is learnt by its spectrum, as published: the real and the imaginary parts at each frequency.
    Its values at the lags 0..length−1 are the inverse Fourier transform, a product with a constant matrix.
    They are applied as one matrix for each channel: plain products, which are quick to differentiate twice.
    """

    basis: Tensor

    def __init__(self, length: int, hidden: int, deviation: float) -> None:
        super().__init__()
        self.spectrum = nn.Parameter(torch.randn(2 * (length // 2 + 1), hidden) * deviation)
        self.register_buffer("basis", inverse_transform(length), persistent=False)

    def forward(self, states: Tensor) -> Tensor:
        length = states.shape[1]
        # the engine may pass weights of another precision than the model was created in
        basis = self.basis[:length].to(self.spectrum.dtype)
        values = (basis @ self.spectrum).T  # (width, L): by lag
        # row t of a channel's matrix is k_t, ..., k_0, 0, ...: a window of the reversed and padded values
        rows = F.pad(values.flip(-1), (0, length - 1)).unfold(
            -1, length, 1
        )  # (width, L, L): t runs backwards
        filtered = rows.flip(1) @ states.permute(2, 1, 0)  # (width, L, B)
        return filtered.permute(2, 1, 0)


def inverse_transform(length: int) -> Tensor:
    """The matrix (length, 2 (length // 2 + 1)) of the inverse real Fourier transform.

    Its columns belong to the real parts at the frequencies 0..length // 2, then to the imaginary parts. As in
    `torch.fft.irfft` the real parts of frequency 0, and of the highest one if `length` is even, count once,
    all others twice; the imaginary parts of these two do not count.
    """
    frequencies = torch.arange(length // 2 + 1, dtype=torch.float64)
    angles = 2 * math.pi / length * torch.outer(torch.arange(length, dtype=torch.float64), frequencies)
    twice = torch.full_like(frequencies, 2.0)
    twice[0] = 1.0
    if length % 2 == 0:
        twice[-1] = 1.0
    matrix = torch.cat([angles.cos() * twice, -angles.sin() * twice], 1) / length
    return matrix.to(torch.get_default_dtype())
