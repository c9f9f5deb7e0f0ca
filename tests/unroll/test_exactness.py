"""The metagradient against autograd through the unrolled loop."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from farzi.unroll import (
    Adam,
    Compiled,
    Eager,
    Execution,
    ForwardOverReverse,
    Window,
    inductor,
    interpreter,
    unroll,
)
from farzi.unroll.compile import partition

from .graphs import graphs
from .problems import CASES, PROBLEMS, Case, Problem, fresh, gradient, named
from .reference import train_by_autograd

STEPS = [1, 2, 5, 20, 50]
BOUND = {torch.float64: 1e-12, torch.float32: 1e-5}


class Compared(NamedTuple):
    """A value of the engine, the right one, and the size by which an error is measured."""

    found: Tensor
    right: Tensor
    size: float

    @property
    def error(self) -> float:
        distance = (self.found.detach().double() - self.right.detach()).norm().item()
        return 0.0 if distance == 0 else distance / self.size


def compare(
    problem: Problem,
    case: Case,
    steps: int,
    schedule: bool = False,
    dtype: torch.dtype = torch.float64,
    last: int | None = None,
    execution: Execution | None = None,
) -> dict[str, Compared]:
    """The end of a run, and the gradients of theta0, data and hyper-parameters.

    The engine runs in `dtype`, the reference always in float64 and on the same (rounded) numbers: in float32
    this measures all of the engine's rounding. The problems are tame enough for it to stay small.

    An error is measured by the size of the right value, with one exception. The derivative with respect to a
    hyper-parameter is a sum over all parameters and steps, often of terms that nearly cancel, and a sum is no
    better than its terms: in float32 it is measured by the sum of their magnitudes, in float64 by a hundredth
    of that where it is smaller still. To know the terms, the reference has a hyper-parameter of its own for
    each parameter and step.
    """
    problem = problem.to(dtype)
    batches = problem.batches(steps)
    hypers = case.tensors(steps if schedule else None, dtype)
    theta0, data = fresh(problem.theta0), fresh(problem.data)
    memory = None if last is None else Window(last=last)
    end = unroll(problem.loss, theta0, data, case.optimizer(**hypers), batches, memory, execution=execution)
    problem.outer(end).backward()

    wide = problem.to(torch.float64)
    wide_theta0, wide_data = fresh(wide.theta0), fresh(wide.data)
    each = [  # by step, parameter and hyper-parameter
        {
            key: {
                name: (h[index] if schedule else h)
                .double()
                .expand(leaf.shape)
                .clone()
                .detach()
                .requires_grad_()
                for name, h in hypers.items()
            }
            for key, leaf in named(wide_theta0)
        }
        for index in range(steps)
    ]
    wide_end = train_by_autograd(
        case.textbook, wide.loss, wide_theta0, wide_data, lambda key, index: each[index][key], batches, last
    )
    wide.outer(wide_end).backward()

    compared = {}
    for title, mine, right in (("theta0", theta0, wide_theta0), ("data", data, wide_data)):
        for (key, a), (_, b) in zip(named(mine), named(right), strict=True):
            compared[f"{title} {key}"] = Compared(gradient(a), gradient(b), gradient(b).norm().item())
    for (key, a), (_, b) in zip(named(end), named(wide_end), strict=True):
        compared[f"end {key}"] = Compared(a, b, b.norm().item())
    for name, h in hypers.items():
        if name.startswith("beta") and steps == 1:
            continue  # the derivative is 0: see below
        terms = [torch.cat([gradient(by[name]).flatten() for by in step.values()]) for step in each]
        summed = torch.stack(terms).sum(1) if schedule else torch.stack(terms).sum()
        magnitude = torch.stack(terms).abs().sum().item()
        size = max(summed.norm().item(), magnitude / 100) if dtype == torch.float64 else magnitude
        compared[name] = Compared(gradient(h), summed, size)
    return compared


def assert_exact(compared: dict[str, Compared], bound: float) -> None:
    assert any(value.size > 0 for value in compared.values())
    worst = max(compared, key=lambda name: compared[name].error)
    assert compared[worst].error <= bound, f"{worst}: {compared[worst].error:.1e}"


@pytest.mark.parametrize("schedule", [False, True], ids=["constant", "schedule"])
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("problem", ["network", "mixture"])
@pytest.mark.parametrize("optimizer", CASES)
def test_equals_autograd_through_the_loop(optimizer: str, problem: str, steps: int, schedule: bool) -> None:
    assert_exact(compare(PROBLEMS[problem](), CASES[optimizer], steps, schedule), BOUND[torch.float64])


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("problem", ["network", "mixture"])
@pytest.mark.parametrize("optimizer", CASES)
def test_in_float32(optimizer: str, problem: str, steps: int) -> None:
    compared = compare(PROBLEMS[problem](), CASES[optimizer], steps, dtype=torch.float32)
    assert_exact(compared, BOUND[torch.float32])


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("optimizer", CASES)
def test_a_student_on_soft_events_equals_autograd(optimizer: str, steps: int) -> None:
    assert_exact(compare(PROBLEMS["tied_student"](), CASES[optimizer], steps), BOUND[torch.float64])


@pytest.mark.parametrize("optimizer", CASES)
def test_a_student_in_float32_equals_autograd(optimizer: str) -> None:
    compared = compare(PROBLEMS["tied_student"](), CASES[optimizer], 20, dtype=torch.float32)
    assert_exact(compared, BOUND[torch.float32])


EXECUTIONS = {
    "eager, forward over reverse": lambda: Eager(ForwardOverReverse()),
    "graph": lambda: Compiled(compiler=interpreter),
    "graph, forward over reverse": lambda: Compiled(ForwardOverReverse(), interpreter),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("optimizer", CASES)
def test_every_execution_is_as_exact(
    optimizer: str, problem: str, execution: str, dtype: torch.dtype
) -> None:
    compared = compare(
        PROBLEMS[problem](), CASES[optimizer], 6, dtype=dtype, execution=EXECUTIONS[execution]()
    )
    assert_exact(compared, BOUND[dtype])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("problem", [name for name in PROBLEMS if name != "mixture"])
def test_what_is_kept_from_the_forward_step_is_as_exact(
    problem: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The problems are too small for anything to be worth keeping: here all products of matrices are."""
    monkeypatch.setattr(partition, "WORTH", 0)
    execution = Compiled(compiler=interpreter)
    compared = compare(PROBLEMS[problem](), CASES["adam"], 6, dtype=dtype, execution=execution)
    assert_exact(compared, BOUND[dtype])
    assert graphs(execution)["split"] != [None]


@pytest.mark.long
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_compiled_is_as_exact(problem: str, dtype: torch.dtype) -> None:
    compared = compare(
        PROBLEMS[problem](), CASES["adam"], 20, dtype=dtype, execution=Compiled(compiler=inductor)
    )
    assert_exact(compared, BOUND[dtype])


@pytest.mark.long
@pytest.mark.parametrize("optimizer", CASES)
def test_schedules_are_compiled_as_well(optimizer: str) -> None:
    execution = Compiled(compiler=inductor)
    assert_exact(
        compare(PROBLEMS["network"](), CASES[optimizer], 6, schedule=True, execution=execution),
        BOUND[torch.float64],
    )


@pytest.mark.parametrize("last", [1, 3, 7, 8, 20])
@pytest.mark.parametrize("optimizer", CASES)
def test_a_window_equals_autograd_through_its_steps(optimizer: str, last: int) -> None:
    """The state before the window counts as constant, that of the optimizer too."""
    compared = compare(PROBLEMS["network"](), CASES[optimizer], 8, schedule=True, last=last)
    assert_exact(compared, BOUND[torch.float64])


def test_betas_do_not_matter_in_the_first_step() -> None:
    """There m̂ = g and v̂ = g²: the derivative is 0, through two paths that cancel."""
    problem, case = PROBLEMS["network"]().to(torch.float64), CASES["adam"]
    hypers = case.tensors(None, torch.float64)
    end = unroll(problem.loss, fresh(problem.theta0), problem.data, Adam(**hypers), problem.batches(1))
    problem.outer(end).backward()
    scale = (hypers["learning_rate"] * gradient(hypers["learning_rate"])).item()
    assert abs(gradient(hypers["beta1"]).item()) <= 1e-13 * abs(scale)
    assert abs(gradient(hypers["beta2"]).item()) <= 1e-13 * abs(scale)
