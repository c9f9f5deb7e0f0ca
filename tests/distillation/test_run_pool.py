"""The run pool: how far its runs are, when they end, and their way into a checkpoint and back."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from farzi.distillation.inner import InnerRun, Rates, RunPool
from farzi.recipe import variants as v
from farzi.training import NextEvent, make_model
from farzi.unroll import Adam, State

from .states import cloned, tensors_of

STEPS, WINDOW = 20, 4
NAMES = ("z", "a.b", "m/n", "b")  # in no alphabetical order, as a student's parameters
OPTIMIZER = Adam(0.1)


def first_weights(rng: np.random.Generator) -> dict[str, Tensor]:
    return {name: torch.from_numpy(rng.normal(size=(k + 1, 2))) for k, name in enumerate(NAMES)}


def train(theta: dict[str, Tensor], state: State | None, steps: int) -> tuple[dict[str, Tensor], State]:
    """Steps with a gradient that depends on the weights, in the flat order of the names."""
    flat = torch.cat([value.reshape(-1) for value in theta.values()])
    state = OPTIMIZER.init(flat) if state is None else state
    for _ in range(steps):
        flat, state = OPTIMIZER.update(torch.sin(flat) + torch.arange(len(flat)), state, flat)
    parts = flat.split([value.numel() for value in theta.values()])
    return {name: part.view(value.shape) for (name, value), part in zip(theta.items(), parts)}, state


def pool_of(steps: int, window: int, burn_in: int, size: int) -> RunPool:
    loss = NextEvent(make_model(v.SASRec(hidden=2), 3, 3, 0))
    return RunPool(loss, first_weights, Rates(OPTIMIZER, 0.1, window, 0.0, steps), burn_in, size)


def count(theta: dict[str, Tensor], state: State | None, steps: int) -> tuple[dict[str, Tensor], State]:
    """Steps that change nothing but their number."""
    return theta, State(steps + (0 if state is None else state.step), ())


def started(step: int, advance: Callable[..., Any] = train) -> Callable[[dict[str, Tensor], int], InnerRun]:
    """New runs, started at an outer step."""

    def advanced(theta: dict[str, Tensor], steps: int) -> InnerRun:
        theta, state = advance(theta, None, steps)
        return InnerRun(theta, state, step)

    return advanced


def outer_steps(pool: RunPool, begin: int, end: int, advance: Callable[..., Any] = train) -> list[InnerRun]:
    """What outer steps take, as `OuterLoop` does it: a generator for each step."""
    taken = []
    for step in range(begin, end):
        run = pool.take(started(step, advance), np.random.default_rng([0, step]))
        taken.append(run)
        theta, state = advance(run.theta, run.state, WINDOW)
        pool.put(InnerRun(theta, state, run.started_at))
    return taken


def steps_taken(pool: RunPool, steps: int) -> list[int]:
    return [run.state.step for run in outer_steps(pool, 0, steps, count)]


@pytest.mark.parametrize("burn_in", [0, 3, 16, 50])
@pytest.mark.parametrize("size", [0, 1, 3])
def test_windows_lie_between_the_burn_in_and_the_last_step(burn_in: int, size: int):
    met = steps_taken(pool_of(STEPS, WINDOW, burn_in, size), 200)
    assert min(met) == min(burn_in, STEPS - WINDOW)
    assert max(met) <= STEPS - WINDOW
    if not size:
        assert set(met) == set(range(min(burn_in, STEPS - WINDOW), STEPS - WINDOW + 1))


@pytest.mark.parametrize("size", [0, 3])
def test_a_window_may_be_the_whole_training(size: int):
    assert set(steps_taken(pool_of(4, 4, 2, size), 20)) == {0}


def test_a_run_continues_where_its_window_ended_and_is_replaced_after_the_last():
    taken = outer_steps(pool_of(STEPS, WINDOW, 3, 1), 0, 12)
    for before, after in pairwise(taken):
        if before.state.step + WINDOW <= STEPS - WINDOW:
            assert after.state.step == before.state.step + WINDOW
            expected, _ = train(before.theta, before.state, WINDOW)
            assert all(torch.equal(after.theta[name], expected[name]) for name in NAMES)
        else:
            assert after.state.step == 3
    assert Counter(run.state.step for run in taken)[3] >= 2


def test_a_run_that_diverged_is_dropped():
    pool = pool_of(STEPS, WINDOW, 3, 1)
    run = pool.take(started(0), np.random.default_rng(0))
    lost = {name: value * torch.nan for name, value in run.theta.items()}
    pool.put(InnerRun(lost, run.state, 0))
    assert pool.state_dict() == [None]
    again = pool.take(started(1), np.random.default_rng(1))
    assert all(value.isfinite().all() for value in again.theta.values())


@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize("cut", [0, 1, 7])
def test_a_restored_pool_continues_bit_for_bit(size: int, cut: int):
    whole, before, after = (pool_of(STEPS, WINDOW, 3, size) for _ in range(3))
    expected = outer_steps(whole, 0, 30)[cut:]
    outer_steps(before, 0, cut)
    outer_steps(after, 50, 60)  # what was there before does not stay
    state = {"runs": before.state_dict()}
    assert bool(tensors_of(state)) == (size > 0 and cut > 0)
    after.load_state_dict(cloned(state)["runs"])
    for ours, theirs in zip(outer_steps(after, cut, 30), expected, strict=True):
        assert (ours.state.step, ours.started_at) == (theirs.state.step, theirs.started_at)
        assert list(ours.theta) == list(theirs.theta) == list(NAMES)
        assert all(torch.equal(ours.theta[name], theirs.theta[name]) for name in NAMES)
        assert all(torch.equal(a, b) for a, b in zip(ours.state.slots, theirs.state.slots, strict=True))
