r"""FMLP-Rec: learnt filters instead of attention (Zhou et al., arXiv 2202.13556), made causal.

As published a layer multiplies the sequence's Fourier transform by learnt complex weights. That is a circular
convolution over the whole sequence: position t reads later items, so that such a model can only be trained to
predict the item after the last position. Here the same weights stand for the same filter k, with one value
for each lag, but it is applied as

    y_t = Σ_{s ≤ t} k_{t−s} ∘ x_s,

so that every position predicts its next item, and each position of a summary's sequence counts in the loss.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from farzi.models.attention import Norm
from farzi.models.base import DEVIATION, TableModel

LONG = 100
"""Longer sequences are transformed in training on real events: 200 events take 0.63 of the time."""


class FMLPRec(TableModel):
    """Filters and feed-forward layers of four times the width, each added to its input and then normalised.

    Arguments as for `TableModel`, with `layers`, the number of blocks. Positions are counted from the end.
    """

    def __init__(
        self, vocabulary: int, length: int, hidden: int = 32, layers: int = 1, tied: bool = True
    ) -> None:
        super().__init__(vocabulary, length, hidden, tied)
        self.position = nn.Parameter(torch.randn(length, hidden) * DEVIATION)
        self.norm = Norm(hidden)
        self.blocks = nn.ModuleList(FilterBlock(length, hidden) for _ in range(layers))

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

    def __init__(self, length: int, hidden: int) -> None:
        super().__init__()
        self.filter = CausalFilter(length, hidden)
        self.norm1 = Norm(hidden)
        self.norm2 = Norm(hidden)
        self.inner = nn.Linear(hidden, 4 * hidden)
        self.outer = nn.Linear(4 * hidden, hidden)

    def forward(self, states: Tensor, drop: Callable[[Tensor], Tensor]) -> Tensor:
        states = self.norm1(states + drop(self.filter(states)))
        return self.norm2(states + drop(self.outer(F.gelu(self.inner(states)))))


class CausalFilter(nn.Module):
    """A convolution over this position and those before it, with one filter for each channel.

    The filter is learnt by its spectrum, as published: the real and the imaginary parts at each frequency.
    Its values at the lags 0..length−1 are the inverse Fourier transform, a product with a constant matrix.
    They are applied as one matrix for each channel: plain products, which are quick to differentiate twice.
    To long sequences in training on real events, where nothing is, by Fourier transforms of twice the length.
    """

    basis: Tensor

    def __init__(self, length: int, hidden: int) -> None:
        super().__init__()
        frequencies = length // 2 + 1
        self.spectrum = nn.Parameter(torch.randn(2 * frequencies, hidden) * DEVIATION)
        units = torch.eye(frequencies, dtype=torch.complex128)
        basis = torch.fft.irfft(torch.cat([units, 1j * units]), n=length).T.contiguous()  # (length, 2 f)
        self.register_buffer("basis", basis.to(torch.get_default_dtype()), persistent=False)

    def forward(self, states: Tensor) -> Tensor:
        length = states.shape[1]
        # the engine may pass weights of another precision than the model was created in
        basis = self.basis[:length].to(self.spectrum.dtype)
        values = (basis @ self.spectrum).T  # (width, L): by lag
        if self.training and length > LONG:
            read = torch.fft.rfft(states.to(self.spectrum.dtype).transpose(1, 2).contiguous(), 2 * length)
            product = read * torch.fft.rfft(values.to(self.spectrum.dtype), 2 * length)
            return torch.fft.irfft(product, 2 * length)[..., :length].transpose(1, 2)
        # row t of a channel's matrix is k_t, ..., k_0, 0, ...: a window of the reversed and padded values
        padded = F.pad(values.flip(-1), (0, length - 1))
        rows = padded.unfold(-1, length, 1)  # (width, L, L): t runs backwards
        filtered = rows.flip(1) @ states.permute(2, 1, 0)  # (width, L, B)
        return filtered.permute(2, 1, 0)
