"""Dropout in the loss: the reverse pass sees the masks that training drew."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from farzi.unroll import Curvature, Eager, ForwardOverReverse, Momentum, ReverseOverReverse, train, unroll

from .problems import CASES, fresh, gradient, relative_error
from .reference import train_by_autograd


def loss(theta: dict[str, Tensor], data: Tensor, rows: list[int]) -> Tensor:
    hidden = F.dropout(torch.tanh(data[rows] @ theta["in"]), 0.4)
    return ((hidden + 0.1 * torch.randn_like(hidden)) @ theta["out"]).square().mean()


def start() -> tuple[dict[str, Tensor], Tensor]:
    torch.manual_seed(0)
    theta0 = {"in": torch.randn(3, 5), "out": torch.randn(5)}
    return {key: leaf.double() for key, leaf in theta0.items()}, torch.randn(6, 3).double()


BATCHES = [[0, 1, 2], [3, 4], [5, 0], [1, 3]]


@pytest.mark.parametrize(
    "curvature", [ReverseOverReverse(), ForwardOverReverse()], ids=["reverse", "forward"]
)
def test_dropout_is_differentiated_exactly(curvature: Curvature) -> None:
    theta0, data = start()
    hypers = CASES["momentum"].tensors(None, torch.float64)
    mine, right = (fresh(theta0), fresh(data)), (fresh(theta0), fresh(data))
    torch.manual_seed(5)
    end = unroll(loss, *mine, Momentum(**hypers), BATCHES, execution=Eager(curvature))
    after = torch.get_rng_state()
    end["in"].sin().sum().backward()
    assert torch.equal(torch.get_rng_state(), after), "the backward pass drew from the generator"

    torch.manual_seed(5)
    wide = train_by_autograd(CASES["momentum"].textbook, loss, *right, lambda key, index: hypers, BATCHES)
    assert torch.equal(torch.get_rng_state(), after)
    wide["in"].sin().sum().backward()
    assert relative_error(gradient(mine[1]), gradient(right[1])) < 1e-13
    for key in theta0:
        assert relative_error(gradient(mine[0][key]), gradient(right[0][key])) < 1e-13


def test_train_draws_as_unroll_does() -> None:
    theta0, data = start()
    ends = []
    for run in (lambda *args: unroll(*args), lambda *args: train(*args).theta):
        torch.manual_seed(5)
        ends.append(run(loss, theta0, data, Momentum(), BATCHES))
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in theta0)
