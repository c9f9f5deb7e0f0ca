"""The check of a run: right ones pass, each kind of bad one is told from the others, and in words."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from farzi.unroll import SGD, Adam, Check, Momentum, Window, check, compare_precision, train, unroll
from farzi.unroll import Algorithm1 as Invert
from farzi.unroll.diagnostics.check import slope

from .problems import PROBLEMS, Problem, gradient


def checked(problem: Problem, optimizer: Any, steps: int = 12, memory: Any = None, **more: Any) -> Check:
    batches = problem.batches(steps)
    return check(
        problem.loss, problem.outer, problem.theta0, problem.data, optimizer, batches, memory, **more
    )


def test_the_slope_of_a_known_function():
    found = slope(lambda x: math.exp(1 + 3 * x), scale=8.0)
    assert found.value == pytest.approx(3 * 2.718281828459045, rel=1e-6)
    assert abs(found.value - 3 * 2.718281828459045) <= found.spread


def test_the_slope_of_a_function_with_fine_ripples_is_found_below_them():
    def rippled(x: float) -> float:
        return 2 * x + 1e-7 * math.sin(x / 1e-6)

    assert slope(rippled, scale=2.1).value == pytest.approx(2, rel=1e-3)
    found = slope(rippled, scale=2.1, tolerance=0)
    assert found.value == pytest.approx(2.1, rel=1e-4)
    assert found.step < 1e-6


def test_a_slope_that_rounding_swallows_is_not_called_flat():
    found = slope(lambda x: float(torch.tensor(1 + x, dtype=torch.float32)), scale=1.0)
    assert abs(found.value - 1) <= max(found.spread, 1e-3)


def test_a_jump_has_no_slope():
    assert not slope(lambda x: float(x > 0), scale=1.0).spread < 1


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("optimizer", [SGD(0.05), Momentum(0.01), Adam(0.02, epsilon=0.1)])
def test_an_honest_smooth_run_is_sound(name: str, optimizer: Any):
    found = checked(PROBLEMS[name](), optimizer)
    assert found.sound
    assert found.remedies == ()
    assert [line.split(":")[0] for line in found.verdict] == ["right", "precise", "smooth"]
    assert found.precision.dtype == torch.float32
    assert found.precision.cosine > 0.99999
    assert (found.steps, found.before) == (12, 0)


def test_its_figures_are_those_of_a_derivative_known_by_hand():
    """θT = θ0 (1 − α)^T + (1 − (1 − α)^T) x for the loss (θ − x)² / 2, so dθT/dx = 1 − (1 − α)^T."""
    found = check(
        lambda theta, x, _: ((theta - x) ** 2).sum() / 2,
        lambda theta: theta.sum(),
        torch.zeros(3),
        torch.tensor([1.0, 2.0, 3.0]),
        SGD(0.1),
        range(5),
    )
    slope = 1 - 0.9**5
    assert found.loss == pytest.approx(6 * slope)
    assert found.norm == pytest.approx(slope * 3**0.5)
    assert found.metasmoothness == pytest.approx(1)
    assert found.precision.ratio == pytest.approx(1)
    for one in found.differences:
        assert one.difference == pytest.approx(one.metagradient, abs=1e-5)
        assert one.expected == pytest.approx(slope * 14**0.5)


class _Cube(torch.autograd.Function):
    """x³, whose backward pass gives the right derivative, detached: its own derivative is lost."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, *bars: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return bars[0] * 3 * x.detach() ** 2


class _Twice(torch.autograd.Function):
    """2 x, whose backward pass says 2.02."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, *bars: Tensor) -> Tensor:
        return 2.02 * bars[0]


def test_a_lost_second_derivative_in_the_loss_is_caught():
    problem = PROBLEMS["mixture"]()

    def loss(theta: Tensor, data: Tensor, rows: Tensor) -> Tensor:
        return problem.loss(theta, data, rows) + 0.1 * _Cube.apply(theta - data.mean(0)).sum()  # pyright: ignore

    found = checked(replace(problem, loss=loss), SGD(0.05))
    assert not found.exact
    assert found.precision.sound  # wrong in float64 as well
    assert found.verdict[0].startswith("wrong: along one direction it says ")
    honest = replace(problem, loss=lambda t, d, r: problem.loss(t, d, r) + 0.1 * ((t - d.mean(0)) ** 3).sum())
    assert checked(honest, SGD(0.05)).exact


def test_a_derivative_of_the_outer_loss_that_is_one_percent_off_is_caught():
    problem = PROBLEMS["mixture"]()
    outer = replace(problem, outer=lambda theta: problem.outer(_Twice.apply(theta) / 2))
    found = checked(outer, SGD(0.05))
    assert not found.exact
    assert all(one.seen for one in found.differences)
    assert max(one.error for one in found.differences) < 0.05


def test_reduced_float32_products_are_named():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert checked(PROBLEMS["mixture"](), SGD(0.05)).precision.modes == ("float32 products in bf16",)
    finally:
        torch.set_float32_matmul_precision(before)


def test_an_inexact_memory_strategy_is_caught():
    problem = PROBLEMS["network"]()
    optimizer = Adam(0.01, epsilon=1e-5)
    assert checked(problem, optimizer, steps=60).precision.sound
    found = checked(problem, optimizer, steps=60, memory=Invert(torch.float32))
    assert not found.precision.sound


def test_what_is_not_finite_is_not_precise():
    problem = PROBLEMS["network"]()
    batches = problem.batches(4)
    found = compare_precision(
        problem.loss,
        lambda theta: problem.outer(theta) * 1e30 * 1e30,
        problem.theta0,
        problem.data,
        SGD(0.05),
        batches,
    )
    assert not found.sound
    assert "it is not finite" in found.verdict


def wavy(epsilon: float, rate: float = 0.1, dtype: torch.dtype = torch.float32) -> Check:
    """Noisy least squares whose gradients cross zero, under Adam: sign-like steps where ε is small."""
    generator = torch.Generator().manual_seed(0)
    theta0 = 0.01 * torch.randn(40, generator=generator)
    data = 0.01 * torch.randn(40, generator=generator)

    def loss(theta: Tensor, x: Tensor, _: Any) -> Tensor:
        return ((theta - x) ** 2).sum() / 2 + 0.05 * (torch.sin(30 * theta) * x).sum()

    def outer(theta: Tensor) -> Tensor:
        return (theta**2).sum()

    theta0, data = theta0.to(dtype), data.to(dtype)
    return check(loss, outer, theta0, data, Adam(rate, epsilon=epsilon), range(20), outer_step=0.01)


def test_bfloat16_is_caught():
    found = wavy(1e-3, 0.03, torch.bfloat16)
    assert found.exact  # differences are taken in float64
    assert not found.precision.sound
    assert not found.sound
    assert found.verdict[1].startswith("not precise: in bfloat16 its cosine with float64 is ")
    assert found.verdict[1].endswith("use float32")
    assert wavy(1e-3, 0.03).sound


def test_autocast_is_caught_and_named():
    problem = PROBLEMS["network"]()
    batches = problem.batches(12)
    arguments = (problem.loss, problem.outer, problem.theta0, problem.data, SGD(0.05), batches)
    plain = compare_precision(*arguments)
    with torch.autocast("cpu", torch.bfloat16):
        found = compare_precision(*arguments)
    assert plain.modes == ()
    assert found.modes == ("autocast to bfloat16",)
    assert 1 - found.cosine > 100 * (1 - plain.cosine)
    assert "in float32 with autocast to bfloat16" in found.verdict
    assert "torch.autocast" in replace(found, cosine=0.5).verdict


def test_smooth_and_rough_runs_are_told_apart():
    smooth, rough = wavy(1.0), wavy(1e-8)
    assert smooth.smooth
    assert smooth.metasmoothness > 0.95
    assert not rough.smooth
    assert smooth.verdict[2].startswith("smooth: metasmoothness ")
    line = rough.verdict[2]
    assert line.startswith("rough: metasmoothness ")
    advice = {
        "epsilon": "raise epsilon from 1e-08 to 1e-05 (",
        "learning_rate": "lower the learning rate from 0.1 to 0.025 (",
        "window": "shorten the window from 20 to the last 10 steps (",
        "outer_step": "take outer steps a tenth as long (",
    }
    assert {remedy.setting for remedy in rough.remedies} == set(advice)
    for remedy in rough.remedies:  # what does not help is not advised
        assert (advice[remedy.setting] in line) == (remedy.metasmoothness > rough.metasmoothness)
    assert line.endswith("leave the first steps out of what is differentiated")


def test_the_best_remedy_is_named_first():
    rough = wavy(1e-8)
    scores = {remedy.setting: remedy.metasmoothness for remedy in rough.remedies}
    best = max(scores, key=lambda name: scores[name])
    words = {
        "epsilon": "raise eps",
        "learning_rate": "lower the",
        "window": "shorten",
        "outer_step": "take outer",
    }
    assert rough.verdict[2].split("; ")[1].startswith(words[best])


def test_metasmoothness_is_the_papers_formula():
    """One direction, made by hand: θT for three data along it, and the weighted agreement of signs."""
    problem = PROBLEMS["mixture"]().to(torch.float64)
    batches = problem.batches(9)
    optimizer = Adam(0.3, epsilon=1e-8)
    found = checked(problem, optimizer, 9, outer_step=0.5, directions=1, seed=3)
    generator = torch.Generator().manual_seed(3)
    assert isinstance(problem.data, Tensor)
    torch.randn(problem.data.shape, generator=generator, dtype=torch.float64)  # for the differences
    v = torch.randint(2, problem.data.shape, generator=generator) * 2.0 - 1
    ends = [
        train(problem.loss, problem.theta0, problem.data + k * 0.5 * v, optimizer, batches).theta
        for k in range(3)
    ]
    first, second = ends[1] - ends[0], ends[2] - ends[1]
    expected = ((first * second > 0).double() - (first * second < 0).double()) * first.abs()
    assert found.metasmoothness == pytest.approx((expected.sum() / first.abs().sum()).item())


def test_before_a_window_the_state_is_constant():
    problem = PROBLEMS["network"]()
    optimizer = Adam(0.02, epsilon=1e-2)
    found = checked(problem, optimizer, 12, Window(last=4))
    assert found.exact
    assert (found.steps, found.before) == (4, 8)
    double = problem.to(torch.float64)
    data = {name: leaf.requires_grad_() for name, leaf in double.data.items()}  # pyright: ignore
    end = unroll(double.loss, double.theta0, data, optimizer, problem.batches(12), Window(last=4))
    problem.outer(end).backward()
    norm = torch.cat([gradient(leaf).reshape(-1) for leaf in data.values()]).norm().item()
    assert found.norm == pytest.approx(norm, rel=1e-5)
    assert found.norm != pytest.approx(checked(problem, optimizer, 12).norm, rel=1e-2)


def test_dropout_is_drawn_alike_in_every_run():
    problem = PROBLEMS["network"]().to(torch.float64)

    def loss(theta: dict[str, Tensor], data: dict[str, Tensor], rows: Tensor) -> Tensor:
        dropped = {**data, "inputs": torch.nn.functional.dropout(data["inputs"], 0.3)}
        return problem.loss(theta, dropped, rows)

    before = torch.get_rng_state()
    found = checked(replace(problem, loss=loss), SGD(0.05))
    assert found.exact
    assert found.precision.cosine == pytest.approx(1)
    assert torch.equal(torch.get_rng_state(), before)


def test_randomness_that_is_not_pytorchs_is_not_called_wrong():
    import numpy as np

    rng = np.random.default_rng(0)
    problem = PROBLEMS["mixture"]()
    noisy = replace(problem, outer=lambda theta: problem.outer(theta) + 0.1 * rng.standard_normal())
    found = checked(noisy, SGD(0.05))
    assert not found.exact
    assert found.verdict[0].startswith("not to be told: ")


def test_a_view_of_the_data_is_differentiated_through():
    problem = PROBLEMS["network"]()
    factors = {"left": torch.randn(12, 2), "right": torch.randn(2, 3), "index": torch.arange(3)}
    base = problem.data
    assert isinstance(base, dict)

    def view(data: dict[str, Tensor]) -> dict[str, Tensor]:
        dtype = data["left"].dtype
        constant = {name: base[name].to(dtype) for name in ("targets", "weights")}
        return {"inputs": data["left"] @ data["right"], **constant}

    found = checked(replace(problem, data=factors), SGD(0.05), view=view)
    assert found.sound


def test_arguments_are_checked():
    problem = PROBLEMS["mixture"]()
    with pytest.raises(ValueError, match="directions=0"):
        checked(problem, SGD(0.1), directions=0)
    with pytest.raises(ValueError, match="no floating leaf"):
        checked(replace(problem, data=torch.arange(3)), SGD(0.1))
    with pytest.raises(TypeError, match="data must be a tensor or a dict"):
        checked(replace(problem, data=[1]), SGD(0.1))  # pyright: ignore
