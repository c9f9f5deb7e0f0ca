"""Recurrences as operations: the values of PyTorch's layers, and derivatives of every order and mode."""

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck

from farzi.models.recurrence import gru, lstm

from .plain import plain_gru, plain_lstm

STEPS, BATCH, WIDTH = 6, 3, 4
GATES = {"gru": 3, "lstm": 4}
OPERATIONS = {"gru": gru, "lstm": lstm}
LOOPS = {"gru": plain_gru, "lstm": plain_lstm}

pytestmark = pytest.mark.filterwarnings("ignore:.*functorch transform.*:UserWarning")


def inputs(name: str, steps: int = STEPS, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    torch.manual_seed(0)
    shapes = [(steps, BATCH, GATES[name] * WIDTH), (GATES[name] * WIDTH, WIDTH)]
    shapes += [(WIDTH,)] if name == "gru" else []
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


def test_gru_is_pytorchs() -> None:
    layer = nn.GRU(5, WIDTH).double()
    into, weight, bias, hidden_bias = layer.parameters()
    events = torch.randn(STEPS, BATCH, 5, dtype=torch.float64)
    x = events @ into.T + bias + torch.cat([hidden_bias[: 2 * WIDTH], torch.zeros(WIDTH)])
    found = gru(x, weight, hidden_bias[2 * WIDTH :])
    torch.testing.assert_close(found, layer(events)[0], rtol=1e-12, atol=1e-14)


def test_lstm_is_pytorchs() -> None:
    layer = nn.LSTM(5, WIDTH).double()
    into, weight, bias, hidden_bias = layer.parameters()
    events = torch.randn(STEPS, BATCH, 5, dtype=torch.float64)
    found = lstm(events @ into.T + bias + hidden_bias, weight)
    torch.testing.assert_close(found, layer(events)[0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("steps", [1, 2, STEPS])
@pytest.mark.parametrize("name", OPERATIONS)
def test_finite_differences_agree_in_every_mode(name: str, steps: int) -> None:
    given = inputs(name, steps)
    assert gradcheck(OPERATIONS[name], given, check_forward_ad=True)
    assert gradgradcheck(OPERATIONS[name], given, check_fwd_over_rev=True)


@pytest.mark.parametrize("name", OPERATIONS)
def test_three_derivatives_are_those_of_a_plain_loop(name: str) -> None:
    given = inputs(name)
    torch.manual_seed(1)
    directions = [[torch.randn_like(leaf) for leaf in given] for _ in range(2)]
    found = []
    for operation in (OPERATIONS[name], LOOPS[name]):
        value = operation(*given).sin().sum()
        for direction in directions:
            slopes = torch.autograd.grad(value, given, create_graph=True)
            value = torch.stack([(s * d).sum() for s, d in zip(slopes, direction, strict=True)]).sum()
        found.append(torch.autograd.grad(value, given))
    for mine, right in zip(*found, strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", OPERATIONS)
def test_float32_is_as_good_as_a_plain_loop(name: str) -> None:
    given = inputs(name, 30, torch.float32)
    right = LOOPS[name](*(leaf.double() for leaf in given))
    torch.testing.assert_close(OPERATIONS[name](*given).double(), right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_batch_of_runs_is_one_after_the_other(name: str) -> None:
    first, second = inputs(name), [leaf.detach() * 0.7 for leaf in inputs(name)]
    both = [torch.stack(pair) for pair in zip(first, second, strict=True)]
    right = torch.stack([OPERATIONS[name](*given) for given in (first, second)])
    torch.testing.assert_close(torch.vmap(OPERATIONS[name])(*both), right)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("name", OPERATIONS)
def test_cuda_agrees(name: str) -> None:
    given = inputs(name)
    there = [leaf.detach().cuda().requires_grad_() for leaf in given]
    found = []
    for leaves in (given, there):
        value = OPERATIONS[name](*leaves).sin().sum()
        slopes = torch.autograd.grad(value, leaves, create_graph=True)
        value = torch.stack([s.square().sum() for s in slopes]).sum()
        found.append([leaf.cpu() for leaf in torch.autograd.grad(value, leaves)])
    for mine, right in zip(*found, strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-10, atol=1e-10)
