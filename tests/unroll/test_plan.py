"""Plans beside what runs then do: calls, tapes and peaks."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from farzi.losses import mean_log_partition
from farzi.unroll import (
    Adam,
    Budget,
    Checkpoints,
    Compiled,
    Eager,
    Execution,
    Memory,
    Momentum,
    OnHost,
    SquareRoot,
    Store,
    StoreGradients,
    Window,
    interpreter,
    plan,
    unroll,
)
from farzi.unroll import (
    Algorithm1 as Invert,
)
from farzi.unroll.diagnostics.footprint import added_bytes, flops

from .problems import PROBLEMS, Problem, to

CPU = torch.device("cpu")
MEMORIES: list[Memory] = [
    Store(),
    StoreGradients(),
    StoreGradients(slots=2),
    SquareRoot(),
    Checkpoints(slots=4),
    Checkpoints(2, every=3, within=StoreGradients(slots=1)),
    OnHost(Checkpoints(slots=2)),
    Window(last=4, memory=SquareRoot()),
]


def differentiated(problem: Problem) -> Problem:
    data = problem.data
    if isinstance(data, Tensor):
        return replace(problem, data=data.clone().requires_grad_())
    return replace(problem, data={name: leaf.clone().requires_grad_() for name, leaf in data.items()})


def wanted(problem: Problem) -> list[Tensor]:
    return [problem.data] if isinstance(problem.data, Tensor) else list(problem.data.values())


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("optimizer", [Adam(0.01, epsilon=0.1), Momentum(0.01)], ids=["adam", "momentum"])
def test_counts_and_tapes_are_exact(name: str, optimizer: Any):
    problem, steps = differentiated(PROBLEMS[name]()), 11
    batches = problem.batches(steps)
    planned = plan(problem.loss, problem.theta0, problem.data, optimizer, batches, MEMORIES)
    for memory, row in zip(MEMORIES, planned.rows, strict=True):
        calls = 0

        def counted(*args: Any) -> Tensor:
            nonlocal calls
            calls += 1
            return problem.loss(*args)

        end = unroll(counted, problem.theta0, problem.data, optimizer, batches, memory)
        torch.autograd.grad(problem.outer(end), wanted(problem))
        assert calls == row.gradients + row.products
        assert row.products == (4 if isinstance(memory, Window) else steps)
        cost = memory.cost(steps, planned.parameters, optimizer.slots)
        assert (row.tape_bytes, row.host_bytes) == (4 * cost.device, 4 * cost.host)
        assert row.gradients == steps + cost.gradients
        assert row.updates == steps + cost.updates


@pytest.mark.parametrize("execution", [Eager(), Compiled(compiler=interpreter)], ids=["eager", "graph"])
@pytest.mark.parametrize("rows", [8, 400])
def test_peaks_are_those_of_the_run(execution: Execution, rows: int):
    torch.manual_seed(0)
    width, steps = 3000, 12

    def loss(theta: Tensor, data: Tensor, batch: None) -> Tensor:
        return (data.sigmoid() @ theta).tanh().square().mean() + (theta**4).sum()

    theta0, data = torch.randn(width), torch.randn(rows, width, requires_grad=True)
    batches, optimizer = [None] * steps, Adam(0.01)
    planned = plan(loss, theta0, data, optimizer, batches, MEMORIES, execution=execution)
    assert planned.data_bytes == data.numel() * 4
    for row in planned.rows:

        def run(memory: Memory = row.memory) -> Any:
            end = unroll(loss, theta0, data, optimizer, batches, memory, execution=execution)
            return torch.autograd.grad(end, data, torch.ones_like(end))

        assert added_bytes(run, CPU) == pytest.approx(row.peak_bytes, rel=0.05), row.name
        assert row.peak_bytes >= row.tape_bytes


def test_doubles_and_other_precisions():
    problem = differentiated(to_double(PROBLEMS["mixture"]()))
    memories = [Store(), Invert(torch.float32)]
    rows = plan(problem.loss, problem.theta0, problem.data, Adam(0.1), problem.batches(5), memories).rows
    assert [row.tape_bytes for row in rows] == [8 * 5 * 4 * 6, 4 * 4 * 6]


def to_double(problem: Problem) -> Problem:
    return replace(problem, theta0=to(problem.theta0, torch.float64), data=to(problem.data, torch.float64))


def test_a_budget_has_the_row_of_what_it_picks():
    problem = differentiated(PROBLEMS["mixture"]())
    planned = plan(
        problem.loss, problem.theta0, problem.data, Adam(0.1), problem.batches(30), ["500 B", Budget("1MB")]
    )
    small, large = planned.rows
    assert (small.budget, large.budget) == ("500 B", "1MB")
    assert small.tape_bytes <= 500 < large.tape_bytes
    assert (large.memory, large.name) == (Store(), "Store()")
    assert small.memory == Budget("500 B").choose(30, 6, 2, 4)


def test_hyper_parameters_alone_and_windows():
    rate = torch.tensor(0.1, requires_grad=True)
    problem = PROBLEMS["network"]()
    planned = plan(
        problem.loss, problem.theta0, problem.data, Adam(rate), problem.batches(6), [Window(last=2)]
    )
    assert planned.data_bytes == 0
    assert (planned.rows[0].gradients, planned.rows[0].products) == (6, 2)


@pytest.mark.parametrize("steps", [1, 3])
def test_schedules_end_with_the_run(steps: int):
    problem = differentiated(PROBLEMS["network"]())
    rates = torch.linspace(0.1, 0.01, steps, dtype=torch.float64)  # the rounds of the plan go on for longer
    planned = plan(problem.loss, problem.theta0, problem.data, Adam(rates), problem.batches(steps))
    assert planned.rows[0].gradients == steps


def test_names_leave_defaults_out():
    problem = differentiated(PROBLEMS["mixture"]())
    rows = plan(problem.loss, problem.theta0, problem.data, Adam(0.1), problem.batches(6), MEMORIES).rows
    assert [row.name for row in rows][5:] == [
        "Checkpoints(slots=2, every=3, within=StoreGradients(slots=1))",
        "OnHost(memory=Checkpoints(slots=2))",
        "Window(last=4, memory=SquareRoot())",
    ]


@pytest.mark.usefixtures("_generators_untouched")
def test_a_plan_changes_nothing():
    def loss(theta: Tensor, data: Tensor, batch: int) -> Tensor:
        return (torch.nn.functional.dropout(data, 0.5) @ theta).square().mean()

    theta0, data = torch.ones(3), torch.linspace(0, 1, 15).view(5, 3).requires_grad_()
    before = theta0.clone(), data.detach().clone()
    planned = plan(loss, theta0, data, Adam(0.1), range(4))
    assert all(row.seconds > 0 for row in planned.rows)
    assert torch.equal(theta0, before[0])
    assert torch.equal(data, before[1])
    assert data.grad is None


def test_a_plan_with_nothing_to_plan_is_refused():
    problem = PROBLEMS["mixture"]()
    with pytest.raises(ValueError, match="requires a gradient"):
        plan(problem.loss, problem.theta0, problem.data, Adam(0.1), problem.batches(3))
    problem = differentiated(problem)
    with pytest.raises(ValueError, match="empty"):
        plan(problem.loss, problem.theta0, problem.data, Adam(0.1), [])
    with pytest.raises(ValueError, match="calibrate"):
        plan(problem.loss, problem.theta0, problem.data, Adam(0.1), problem.batches(3), calibrate=0)
    with pytest.raises(ValueError, match="too little"):
        plan(problem.loss, problem.theta0, problem.data, Adam(0.1), problem.batches(3), ["1 B"])


def test_flops_of_products_and_of_the_log_partition():
    hidden, table = torch.ones(7, 5, requires_grad=True), torch.ones(11, 5, requires_grad=True)

    def operation() -> None:
        value = mean_log_partition(hidden, table)
        slopes = torch.autograd.grad(value, [hidden, table], create_graph=True)
        torch.autograd.grad([*slopes], [hidden, table], [torch.ones_like(slope) for slope in slopes])

    assert flops(lambda: torch.randn(2, 3) @ torch.randn(3, 4)) == 2 * 2 * 3 * 4
    assert flops(operation) == (6 + 14) * 7 * 11 * 5
