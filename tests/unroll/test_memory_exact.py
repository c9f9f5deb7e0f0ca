"""Every exact strategy gives the gradients of `Store`, bit for bit."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from farzi.unroll import (
    Checkpoints,
    Eager,
    ForwardOverReverse,
    Memory,
    OnHost,
    SquareRoot,
    Store,
    StoreGradients,
    Window,
    train,
    unroll_with_state,
)

from .problems import CASES, Problem, fresh, gradient, named, network, tied_student

EXACT: list[Memory] = [
    StoreGradients(),
    StoreGradients(slots=1),
    Checkpoints(slots=1),
    Checkpoints(slots=3),
    Checkpoints(slots=2, every=4, within=StoreGradients(slots=1)),
    SquareRoot(),
    OnHost(Store()),
    OnHost(StoreGradients(slots=2)),
    OnHost(Checkpoints(slots=4)),
    OnHost(SquareRoot()),
]

Found = dict[str, Tensor | None]


def run(problem: Problem, name: str, steps: int, memory: Memory, before: int = 0, **options: Any) -> Found:
    """The end of a run and all gradients, after `before` steps that are not differentiated."""
    case, batches = CASES[name], problem.batches(before + steps)
    theta0, data = fresh(problem.theta0), fresh(problem.data)
    hypers = case.tensors(before + steps, torch.float32)
    optimizer = case.optimizer(**hypers)
    torch.manual_seed(7)
    state = None
    if before:
        start, state = train(problem.loss, theta0, data, optimizer, batches[:before])
        theta0 = fresh(start)
    end, last = unroll_with_state(
        problem.loss, theta0, data, optimizer, batches[before:], memory, state=state, **options
    )
    problem.outer(end).backward()
    found: Found = {f"end {key}": leaf.detach() for key, leaf in named(end)}
    found |= {f"slot {n}": slot for n, slot in enumerate(last.slots)}
    for title, tree in (("theta0", theta0), ("data", data), ("hyper", hypers)):
        found |= {f"{title} {key}": leaf.grad for key, leaf in named(tree)}
    return found


def assert_same(found: Found, right: Found) -> None:
    assert found.keys() == right.keys()
    for key, value in right.items():
        other = found[key]
        assert (value is None) == (other is None), key
        assert value is None or torch.equal(value, other), key  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 16, 40])
@pytest.mark.parametrize("name", CASES)
def test_minibatches_and_schedules(name: str, steps: int) -> None:
    problem = network()
    right = run(problem, name, steps, Store())
    assert all(value is not None for value in right.values())
    for memory in EXACT:
        assert_same(run(problem, name, steps, memory), right)


@pytest.mark.parametrize("memory", EXACT, ids=repr)
def test_a_student_by_either_way_to_second_derivatives(memory: Memory) -> None:
    for curvature in (Eager(), Eager(ForwardOverReverse())):
        right = run(tied_student(), "adam", 9, Store(), execution=curvature)
        assert_same(run(tied_student(), "adam", 9, memory, execution=curvature), right)


@pytest.mark.parametrize("name", CASES)
def test_going_on_from_a_state(name: str) -> None:
    right = run(network(), name, 11, Store(), before=6)
    for memory in EXACT:
        assert_same(run(network(), name, 11, memory, before=6), right)


def with_dropout(problem: Problem) -> Problem:
    """The problem with noise in its loss: at odd steps only, so that some steps draw and others do not."""
    loss: Callable = problem.loss

    def noisy(theta: Any, data: Any, rows: Tensor) -> Tensor:
        if rows[0] % 2 == 0:
            return loss(theta, data, rows)
        return loss(theta, data | {"inputs": F.dropout(data["inputs"], 0.4)}, rows) * torch.rand(())

    return replace(problem, loss=noisy)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_dropout(name: str) -> None:
    plain = run(network(), name, 17, Store())
    right = run(with_dropout(network()), name, 17, Store())
    after = torch.get_rng_state()
    assert not torch.equal(right["data inputs"], plain["data inputs"])  # type: ignore[arg-type]
    for memory in EXACT:
        assert_same(run(with_dropout(network()), name, 17, memory), right)
        assert torch.equal(torch.get_rng_state(), after)


@pytest.mark.parametrize("memory", EXACT, ids=repr)
def test_windows_of_any_strategy(memory: Memory) -> None:
    right = run(network(), "adamw", 15, Window(last=9))
    assert right["theta0 weight"] is None
    assert_same(run(network(), "adamw", 15, Window(last=9, memory=memory)), right)
    assert_same(
        run(network(), "adamw", 15, Window(last=99, memory=memory)), run(network(), "adamw", 15, Store())
    )


@pytest.mark.parametrize("size", ["800 B", "1.5 kB", "2 KiB", "4 KiB", "1 MB"])
def test_bytes_choose_an_exact_strategy(size: str) -> None:
    """20 parameters in float32: a vector is 80 bytes."""
    assert_same(run(network(), "adam", 20, size), run(network(), "adam", 20, Store()))  # type: ignore[arg-type]


def test_no_step_at_all() -> None:
    for memory in EXACT:
        theta0 = fresh(network().theta0)
        end, _ = unroll_with_state(
            network().loss, theta0, network().data, CASES["adam"].optimizer(), [], memory
        )
        end["head"].sum().backward()
        assert torch.equal(gradient(theta0["head"]), torch.ones(4))
