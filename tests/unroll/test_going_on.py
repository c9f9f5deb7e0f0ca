"""Runs in pieces, runs twice, runs without a record: the same numbers bit for bit."""

from typing import Any

import pytest
import torch
from torch import Tensor

from farzi.unroll import SGD, Trained, Window, train, unroll, unroll_with_state

from .problems import CASES, fresh, gradient, named, network, relative_error


def same(a: Any, b: Any) -> bool:
    return all(torch.equal(x, y) for (_, x), (_, y) in zip(named(a), named(b), strict=True))


def same_end(a: Trained, b: Trained) -> bool:
    slots = zip(a.state.slots, b.state.slots, strict=True)
    return (
        a.state.step == b.state.step and all(torch.equal(x, y) for x, y in slots) and same(a.theta, b.theta)
    )


@pytest.mark.parametrize("schedule", [None, 9], ids=["constant", "schedule"])
@pytest.mark.parametrize("name", CASES)
def test_train_equals_unroll_and_pieces_equal_the_whole(name: str, schedule: int | None) -> None:
    problem, case = network(), CASES[name]
    optimizer = case.optimizer(**case.tensors(schedule, torch.float32))
    batches = problem.batches(9)
    whole = unroll_with_state(problem.loss, problem.theta0, problem.data, optimizer, batches)
    assert whole.state.step == 9
    assert not any(slot.requires_grad for slot in whole.state.slots)
    assert same_end(train(problem.loss, problem.theta0, problem.data, optimizer, batches), whole)
    for run in (train, unroll_with_state):
        first = run(problem.loss, problem.theta0, problem.data, optimizer, batches[:4])
        second = run(problem.loss, first.theta, problem.data, optimizer, batches[4:], state=first.state)
        assert same_end(second, whole)


def test_a_piece_with_its_state_is_a_window_of_the_whole() -> None:
    """The gradient of the last steps after a plain run, with a schedule of the whole run's length."""
    problem, case = network().to(torch.float64), CASES["adam"]
    batches = problem.batches(9)
    found = []
    for pieces in (True, False):
        data, hypers = fresh(problem.data), case.tensors(9, torch.float64)
        optimizer = case.optimizer(**hypers)
        if pieces:
            first = train(problem.loss, problem.theta0, data, optimizer, batches[:6])
            end = unroll(problem.loss, first.theta, data, optimizer, batches[6:], state=first.state)
        else:
            end = unroll(problem.loss, problem.theta0, data, optimizer, batches, Window(last=3))
        problem.outer(end).backward()
        found.append({**data, **hypers})
    for a, b in zip(found[0].values(), found[1].values(), strict=True):
        assert torch.equal(gradient(a), gradient(b))
    assert gradient(found[0]["learning_rate"])[:6].norm() == 0


def test_a_chain_of_runs_is_one_graph() -> None:
    """SGD has no state to cut: two runs behind one another have the gradient of one."""
    problem = network().to(torch.float64)
    batches = problem.batches(6)
    found = []
    for pieces in (True, False):
        theta0, data = fresh(problem.theta0), fresh(problem.data)
        half = unroll(problem.loss, theta0, data, SGD(), batches[:3]) if pieces else theta0
        end = unroll(problem.loss, half, data, SGD(), batches[3:] if pieces else batches)
        problem.outer(end).backward()
        found.append({**data, **theta0})
    for a, b in zip(found[0].values(), found[1].values(), strict=True):
        assert relative_error(gradient(a), gradient(b)) < 1e-13


@pytest.mark.parametrize("name", CASES)
def test_two_runs_agree_bit_for_bit(name: str) -> None:
    problem, case = network(), CASES[name]

    def run() -> list[Tensor]:
        theta0, data, hypers = fresh(problem.theta0), fresh(problem.data), case.tensors(None, torch.float32)
        end = unroll(problem.loss, theta0, data, case.optimizer(**hypers), problem.batches(9))
        problem.outer(end).backward()
        return [*end.values(), *(gradient(leaf) for tree in (theta0, data, hypers) for leaf in tree.values())]

    assert all(torch.equal(a, b) for a, b in zip(run(), run(), strict=True))


@pytest.mark.parametrize("memory", [None, Window(last=2)])
def test_no_step_at_all(memory: Window | None) -> None:
    problem = network()
    theta0, data = fresh(problem.theta0), fresh(problem.data)
    end, state = unroll_with_state(problem.loss, theta0, data, SGD(), [], memory)
    assert same(end, theta0)
    assert state.step == 0
    end["head"].sum().backward()
    assert torch.equal(gradient(theta0["head"]), torch.ones(4))
    assert gradient(theta0["weight"]).norm() == 0
    assert gradient(data["inputs"]).norm() == 0
    plain = train(problem.loss, theta0, data, SGD(), []).theta
    assert same(plain, theta0)
    assert plain["head"].data_ptr() != theta0["head"].data_ptr()
