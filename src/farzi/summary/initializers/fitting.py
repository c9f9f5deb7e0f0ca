"""Fitting softmax(latents · decoder) to distributions: the gradient, in chunks of rows."""

from collections.abc import Callable

import torch
from torch import Tensor

CHUNK = 2**19
"""Numbers in the softmaxes that are held at a time: 2 MiB in float32, which fit into a core's cache."""

ROWS = 32
"""The smallest chunk, in rows: with fewer, reading the decoder takes longer than the work on it."""


def chunks(rows: int, width: int) -> list[slice]:
    """Slices of `rows` rows of `width` numbers, such that a slice has about `CHUNK` numbers at most."""
    size = max(ROWS, CHUNK // max(1, width))
    return [slice(start, start + size) for start in range(0, rows, size)]


def add_gradient(
    latents: Tensor,
    decoder: Tensor,
    latents_bar: Tensor,
    decoder_bar: Tensor,
    target: Callable[[slice], Tensor] | None = None,
) -> None:
    """Add the gradient of Σ KL(target ‖ softmax(z M)) over the rows z, by z and by M, in place.

    The gradient of a divergence by its logits is softmax(z M) − target.

    Args:
        latents: z, (n, dim).
        decoder: M, (dim, V).
        latents_bar: (n, dim), added to.
        decoder_bar: (dim, V), added to.
        target: gives the distributions (rows, V) of a slice of rows; None if the target's part of the
            gradient is subtracted elsewhere.
    """
    for rows in chunks(len(latents), decoder.shape[1]):
        z = latents[rows]
        excess = torch.softmax(z @ decoder, -1)
        if target is not None:
            excess -= target(rows)
        latents_bar[rows].addmm_(excess, decoder.T)
        decoder_bar.addmm_(z.T, excess)
