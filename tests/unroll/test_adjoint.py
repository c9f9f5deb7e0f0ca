"""The adjoint is a value; an adjoint, a memory strategy or an optimizer of one's own is one class."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from farzi.unroll import (
    SGD,
    Adam,
    AdamW,
    Adjoint,
    Algorithm1,
    Budget,
    Cost,
    Exact,
    Memory,
    Optimizer,
    Place,
    Replay,
    SquareRoot,
    State,
    Step,
    Store,
    Tape,
    Window,
    check,
    compare_precision,
    plan,
    unroll,
    unroll_with_state,
)

from .problems import fresh, gradient, mixture, network


def bar(optimizer: Optimizer, steps: int = 6, **options: Any) -> Tensor:
    problem = mixture()
    data = fresh(problem.data)
    end = unroll(problem.loss, problem.theta0, data, optimizer, problem.batches(steps), **options)
    problem.outer(end).backward()
    return gradient(data)


def test_an_adjoint_is_given_as_such_or_by_the_memory_of_the_exact_one() -> None:
    adam = Adam(0.02)
    right = bar(adam)
    every: list[dict[str, Any]] = [
        {"adjoint": Exact()},
        {"memory": Exact()},
        {"memory": SquareRoot()},
        {"adjoint": Exact(SquareRoot())},
        {"adjoint": Exact("1 KiB")},
    ]
    for options in every:
        assert torch.equal(bar(adam, **options), right)
    paper = bar(adam, adjoint=Algorithm1())
    assert not torch.allclose(paper, right, rtol=1e-3)
    assert torch.equal(bar(adam, memory=Algorithm1()), paper)
    assert torch.equal(bar(adam, memory=Window(6, Algorithm1())), paper)


def test_adjoints_are_values() -> None:
    assert Exact() == Exact(Store()) == Exact(memory=Store())
    assert Exact("2GiB") == Exact(Budget("2GiB"))
    assert Algorithm1() == Algorithm1(None) != Algorithm1(torch.float64)
    assert len({Exact(), Exact(Store()), Algorithm1(), Algorithm1()}) == 2


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match="give memory or adjoint, not both"):
        bar(SGD(), memory=Store(), adjoint=Exact())
    with pytest.raises(TypeError, match="memory must be a strategy such as Store"):
        Exact(3)  # type: ignore[arg-type]


def test_diagnostics_take_an_adjoint() -> None:
    problem, adam = network(), Adam(0.01, epsilon=1e-3)
    arguments = (problem.loss, problem.outer, problem.theta0, problem.data, adam, problem.batches(8))
    exact = compare_precision(*arguments, adjoint=Exact(Window(4)))
    assert exact == compare_precision(*arguments, Window(4))
    assert compare_precision(*arguments, adjoint=Algorithm1()).cosine < exact.cosine
    assert check(*arguments, adjoint=Exact(Window(4)), directions=1).steps == 4
    data = fresh(problem.data)
    adjoints = [Exact(), Algorithm1(torch.float64), Stingy(Exact())]
    rows = plan(problem.loss, problem.theta0, data, adam, problem.batches(8), adjoints).rows
    assert [row.memory for row in rows] == [Store(), Algorithm1(torch.float64), Store()]
    assert [row.tape_bytes for row in rows] == [8 * 4 * 20 * 4, 4 * 20 * 8, 8 * 4 * 20 * 8]


@dataclass(frozen=True)
class Stingy(Adjoint):
    """In float64, with a tenth of the gradient's cotangent."""

    other: Adjoint

    def strategy(self) -> Memory | Budget:
        return self.other.strategy()

    def precision(self, dtype: torch.dtype) -> torch.dtype:
        return torch.float64

    def pull_back(self, *args: Any, **kwargs: Any) -> Any:
        pulled = self.other.pull_back(*args, **kwargs)
        return pulled._replace(gradient=0.1 * pulled.gradient)


def test_an_adjoint_of_ones_own() -> None:
    assert torch.allclose(bar(SGD(0.1), 1, adjoint=Stingy(Exact())), 0.1 * bar(SGD(0.1), 1))


@dataclass(frozen=True)
class Twice(Memory):
    """Runs every step twice: once to keep its parameters, once to keep the rest."""

    def tape(self, steps: int, replay: Replay, place: Place | None = None) -> Tape:
        return _Twice(replay)

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        return Cost(device=steps * (1 + slots) * parameters, gradients=steps)


class _Twice(Tape):
    def __init__(self, replay: Replay) -> None:
        self.replay, self.kept = replay, []

    def put(self, index: int, step: Step) -> None:
        self.kept.append((step.theta, step.state))

    def pop(self, index: int) -> Step:
        theta, state = self.kept.pop()
        return Step(theta, state, self.replay.forward(index, theta)[0])


def test_a_memory_strategy_of_ones_own() -> None:
    assert torch.equal(bar(AdamW(0.02), memory=Twice()), bar(AdamW(0.02)))
    assert torch.equal(
        bar(AdamW(0.02), adjoint=Exact(Window(3, Twice()))), bar(AdamW(0.02), memory=Window(3))
    )


@dataclass(frozen=True)
class SignDescent(Optimizer):
    """θ ← θ − α tanh(g)."""

    rate: float = 0.1

    slots = 0

    def update(self, gradient: Tensor, state: State, theta: Tensor) -> tuple[Tensor, State]:
        return theta - self.rate * gradient.tanh(), State(state.step + 1, ())


def test_an_optimizer_of_ones_own() -> None:
    problem = mixture()
    data, theta = fresh(problem.data), fresh(problem.theta0)
    for rows in problem.batches(6):
        (g,) = torch.autograd.grad(problem.loss(theta, data, rows), theta, create_graph=True)
        theta = theta - 0.1 * g.tanh()
    problem.outer(theta).backward()
    assert torch.allclose(bar(SignDescent()), gradient(data), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [Optimizer, Memory, Tape, Adjoint, Place])
def test_bases_are_abstract(kind: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match="abstract"):
        kind()


def test_the_state_of_a_run_in_another_precision_comes_back_in_the_callers() -> None:
    problem = mixture()
    end, state = unroll_with_state(
        problem.loss, problem.theta0, problem.data, Adam(), problem.batches(2), adjoint=Stingy(Exact())
    )
    assert {tensor.dtype for tensor in (end, *state.slots)} == {torch.float32}
