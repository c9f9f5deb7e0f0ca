"""The gradient of fits to distributions, against autograd through the whole divergence."""

import numpy as np
import torch

from farzi.operations import CHUNK, ROWS
from farzi.summary.initializers.base import add_gradient
from farzi.summary.initializers.classes import ClassSequences
from farzi.summary.initializers.teacher import _target_gradient

ROWS_FITTED, DIM, WIDE = 3 * ROWS + 5, 4, 2 * CHUNK // ROWS  # several chunks, the last one not whole


def made() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    latents = torch.randn(ROWS_FITTED, DIM, generator=draw, dtype=torch.float64, requires_grad=True)
    decoder = torch.randn(DIM, WIDE, generator=draw, dtype=torch.float64, requires_grad=True)
    return latents, decoder


def by_autograd(target: torch.Tensor) -> tuple[torch.Tensor, ...]:
    latents, decoder = made()
    loss = -(target * torch.log_softmax(latents @ decoder, -1)).sum()
    return torch.autograd.grad(loss, (latents, decoder))


def close(result: tuple[torch.Tensor, ...], target: tuple[torch.Tensor, ...]) -> None:
    for one, other in zip(result, target, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_the_gradient_is_what_autograd_gives():
    target = torch.softmax(torch.randn(ROWS_FITTED, WIDE, dtype=torch.float64), -1)
    latents, decoder = (part.detach() for part in made())
    result = torch.ones_like(latents), torch.ones_like(decoder)
    add_gradient(latents, decoder, *result, target.__getitem__)
    close(tuple(part - 1 for part in result), by_autograd(target))


def test_class_targets_are_subtracted():
    rng = np.random.default_rng(0)
    class_of, rows = rng.integers(5, size=WIDE + 1), rng.integers(5, size=ROWS_FITTED)
    counts = rng.integers(1, 9, size=WIDE + 1).astype(float)
    counts[0] = 0.0
    shares = counts / np.bincount(class_of, counts)[class_of]
    shares[0] = 1.0
    real = ClassSequences(rows[None], class_of, np.log(shares), np.zeros((5, 5)))
    latents, decoder = (part.detach() for part in made())
    result = torch.zeros_like(latents), torch.zeros_like(decoder)
    add_gradient(latents, decoder, *result)
    of_targets = _target_gradient(latents, decoder, torch.from_numpy(rows), real)
    result = tuple(part - other for part, other in zip(result, of_targets, strict=True))
    target = torch.from_numpy(np.where(class_of[1:] == rows[:, None], shares[1:], 0.0))
    for one, other in zip(result, by_autograd(target), strict=True):  # shares are in single precision
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
