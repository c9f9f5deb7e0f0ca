"""Fits of softmaxes of latents times a decoder to distributions: their gradient, in chunks of rows."""

from collections.abc import Callable

import torch
from torch import Tensor

CHUNK = 2**19
"""Numbers in the softmaxes that are held at a time: 2 MiB, which stay in a core's cache."""

ROWS = 32
"""Rows in a chunk at least: with fewer, the decoder's gradient is gone through for too little work."""


def chunks(rows: int, width: int) -> list[slice]:
    """Rows of so many numbers each, such that they stay within `CHUNK`."""
    size = max(ROWS, CHUNK // max(1, width))
    return [slice(start, start + size) for start in range(0, rows, size)]


def add_gradient(
    latents: Tensor,
    decoder: Tensor,
    latents_bar: Tensor,
    decoder_bar: Tensor,
    wanted: Callable[[slice], Tensor] | None = None,
) -> None:
    """Add the gradient of Σ KL(wanted ‖ softmax(z M)) over the rows z, by z and by M, in place.

    The gradient of a divergence by its logits is what their softmax has in excess of what is wanted.

    Args:
        latents: z, (n, dim).
        decoder: M, (dim, V).
        latents_bar: (n, dim), added to.
        decoder_bar: (dim, V), added to.
        wanted: distributions (rows, V) of some rows; None where what is wanted is taken off elsewhere.
    """
    for rows in chunks(len(latents), decoder.shape[1]):
        z = latents[rows]
        excess = torch.softmax(z @ decoder, -1)
        if wanted is not None:
            excess -= wanted(rows)
        latents_bar[rows].addmm_(excess, decoder.T)
        decoder_bar.addmm_(z.T, excess)
