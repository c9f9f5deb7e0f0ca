"""The metagradient against differences of whole runs."""

import pytest
import torch
from torch import Tensor

from farzi.unroll import train, unroll

from .problems import CASES, PROBLEMS, fresh, gradient, named


@pytest.mark.parametrize("problem", ["network", "tied_student"])
@pytest.mark.parametrize("optimizer", CASES)
def test_equals_differences_along_random_directions(optimizer: str, problem: str) -> None:
    """θ0, data and hyper-parameters move at once; a five-point stencil, whose error is O(h⁴)."""
    run, case = PROBLEMS[problem]().to(torch.float64), CASES[optimizer]
    batches = run.batches(12)
    theta0, data, hypers = fresh(run.theta0), fresh(run.data), case.tensors(12, torch.float64)
    end = unroll(run.loss, theta0, data, case.optimizer(**hypers), batches)
    run.outer(end).backward()
    inputs = [leaf for tree in (theta0, data, hypers) for _, leaf in named(tree)]

    def value(shift: list[Tensor]) -> float:
        with torch.no_grad():
            for leaf, step in zip(inputs, shift, strict=True):
                leaf.add_(step)
            end = train(run.loss, theta0, data, case.optimizer(**hypers), batches).theta
            for leaf, step in zip(inputs, shift, strict=True):
                leaf.sub_(step)
            return run.outer(end).item()

    generator = torch.Generator().manual_seed(7)
    for _ in range(2):
        direction = [torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype) for leaf in inputs]
        # In proportion to a leaf's size; and no mass on padding, whose gradients would start at exactly zero,
        # where g / (|g| + ε) has a kink in its second derivative.
        direction = [
            d * min(1.0, leaf.abs().max().item()) * (leaf != 0)
            for d, leaf in zip(direction, inputs, strict=True)
        ]
        h = 3e-5
        near, far = (
            value([k * h * d for d in direction]) - value([-k * h * d for d in direction]) for k in (1, 2)
        )
        difference = (8 * near - far) / (12 * h)
        right = sum((gradient(leaf) * d).sum().item() for leaf, d in zip(inputs, direction, strict=True))
        assert difference == pytest.approx(right, rel=1e-8)
