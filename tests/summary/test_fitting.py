"""The gradient of fits to distributions, against autograd through the whole divergence."""

import numpy as np
import torch

from farzi.summary.initializers.classes import OfClasses, _nearest
from farzi.summary.initializers.fitting import CHUNK, ROWS, add_gradient, chunks
from farzi.summary.initializers.teacher import _take_off_classes

ROWS_FITTED, DIM, WIDE = 3 * ROWS + 5, 4, 2 * CHUNK // ROWS  # several chunks, the last one not whole


def made() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    latents = torch.randn(ROWS_FITTED, DIM, generator=draw, dtype=torch.float64, requires_grad=True)
    decoder = torch.randn(DIM, WIDE, generator=draw, dtype=torch.float64, requires_grad=True)
    return latents, decoder


def by_autograd(wanted: torch.Tensor) -> tuple[torch.Tensor, ...]:
    latents, decoder = made()
    loss = -(wanted * torch.log_softmax(latents @ decoder, -1)).sum()
    return torch.autograd.grad(loss, (latents, decoder))


def close(found: tuple[torch.Tensor, ...], wanted: tuple[torch.Tensor, ...]) -> None:
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_chunks_are_all_rows_once():
    found = chunks(ROWS_FITTED, WIDE)
    assert len(found) == 4
    assert [row for some in found for row in range(ROWS_FITTED)[some]] == list(range(ROWS_FITTED))
    assert chunks(ROWS_FITTED, 1) == [slice(0, CHUNK)]


def test_the_gradient_is_what_autograd_gives():
    wanted = torch.softmax(torch.randn(ROWS_FITTED, WIDE, dtype=torch.float64), -1)
    latents, decoder = (part.detach() for part in made())
    found = torch.ones_like(latents), torch.ones_like(decoder)
    add_gradient(latents, decoder, *found, wanted.__getitem__)
    close(tuple(part - 1 for part in found), by_autograd(wanted))


def test_classes_are_taken_off_as_if_they_were_wanted():
    rng = np.random.default_rng(0)
    class_of, rows = rng.integers(5, size=WIDE + 1), rng.integers(5, size=ROWS_FITTED)
    counts = rng.integers(1, 9, size=WIDE + 1).astype(float)
    counts[0] = 0.0
    shares = counts / np.bincount(class_of, counts)[class_of]
    shares[0] = 1.0
    of = OfClasses(rows[None], class_of, np.log(shares), np.zeros((5, 5)))
    latents, decoder = (part.detach() for part in made())
    found = torch.zeros_like(latents), torch.zeros_like(decoder)
    add_gradient(latents, decoder, *found)
    _take_off_classes(latents, decoder, *found, torch.from_numpy(rows), of)
    wanted = torch.from_numpy(np.where(class_of[1:] == rows[:, None], shares[1:], 0.0))
    for one, other in zip(found, by_autograd(wanted), strict=True):  # shares are in single precision
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_the_nearest_of_many_centres():
    rng = np.random.default_rng(0)
    points, centres = rng.standard_normal((3 * ROWS + 1, 3)), rng.standard_normal((CHUNK // ROWS, 3))
    nearest, apart = _nearest(points, centres)
    distance = ((points[:, None] - centres) ** 2).sum(-1)
    np.testing.assert_array_equal(nearest, distance.argmin(1))
    np.testing.assert_allclose(apart, distance.min(1) - (points**2).sum(1), atol=1e-10)
