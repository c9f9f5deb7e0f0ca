"""Inner runs under way: their ages, their end, and their way into a checkpoint and back."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from farzi.distillation import Anew, Point, Pool, Runs
from farzi.distillation.runs import Advance
from farzi.unroll import Adam, State

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


def age(theta: dict[str, Tensor], state: State | None, steps: int) -> tuple[dict[str, Tensor], State]:
    """Steps that change nothing but the age."""
    return theta, State(steps + (0 if state is None else state.step), ())


def began(step: int, advance: Callable[..., Any] = train) -> Advance:
    """New runs, begun at an outer step."""

    def advanced(theta: dict[str, Tensor], steps: int) -> Point:
        theta, state = advance(theta, None, steps)
        return Point(theta, state, step)

    return advanced


def outer_steps(runs: Runs, begin: int, end: int, advance: Callable[..., Any] = train) -> list[Point]:
    """What outer steps take, as `Outer` does it: a generator for each step."""
    taken = []
    for step in range(begin, end):
        point = runs.take(began(step, advance), np.random.default_rng([0, step]))
        taken.append(point)
        theta, state = advance(point.theta, point.state, WINDOW)
        runs.put(Point(theta, state, point.born))
    return taken


def ages(runs: Runs, steps: int) -> list[int]:
    return [point.state.step for point in outer_steps(runs, 0, steps, age)]


@pytest.mark.parametrize("skip", [0, 3, 16, 50])
@pytest.mark.parametrize("size", [0, 1, 3])
def test_windows_lie_between_the_skipped_steps_and_the_last(skip: int, size: int):
    runs = (
        Pool(first_weights, STEPS, WINDOW, skip, size) if size else Anew(first_weights, STEPS, WINDOW, skip)
    )
    met = ages(runs, 200)
    assert min(met) == min(skip, STEPS - WINDOW)
    assert max(met) <= STEPS - WINDOW
    if not size:
        assert set(met) == set(range(min(skip, STEPS - WINDOW), STEPS - WINDOW + 1))


def test_a_window_may_be_the_whole_training():
    for runs in (Anew(first_weights, 4, 4, 2), Pool(first_weights, 4, 4, 2, 3)):
        assert set(ages(runs, 20)) == {0}


def test_a_run_goes_on_where_its_window_ended_and_begins_again_after_the_last():
    runs = Pool(first_weights, STEPS, WINDOW, 3, 1)
    taken = outer_steps(runs, 0, 12)
    for before, after in pairwise(taken):
        if before.state.step + WINDOW <= STEPS - WINDOW:
            assert after.state.step == before.state.step + WINDOW
            expected, _ = train(before.theta, before.state, WINDOW)
            assert all(torch.equal(after.theta[name], expected[name]) for name in NAMES)
        else:
            assert after.state.step == 3
    assert Counter(point.state.step for point in taken)[3] >= 2


def test_a_run_that_diverged_is_given_up():
    runs = Pool(first_weights, STEPS, WINDOW, 3, 1)
    point = runs.take(began(0), np.random.default_rng(0))
    lost = {name: value * torch.nan for name, value in point.theta.items()}
    runs.put(Point(lost, point.state))
    assert runs.tensors() == {}
    assert all(
        value.isfinite().all() for value in runs.take(began(1), np.random.default_rng(1)).theta.values()
    )


@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize("cut", [0, 1, 7])
def test_restored_runs_go_on_bit_for_bit(size: int, cut: int):
    def made() -> Runs:
        return Pool(first_weights, STEPS, WINDOW, 3, size) if size else Anew(first_weights, STEPS, WINDOW, 3)

    whole, before, after = made(), made(), made()
    expected = outer_steps(whole, 0, 30)[cut:]
    outer_steps(before, 0, cut)
    outer_steps(after, 50, 60)  # what was there before does not stay
    after.restore({name: value.clone() for name, value in before.tensors().items()})
    for ours, theirs in zip(outer_steps(after, cut, 30), expected, strict=True):
        assert (ours.state.step, ours.born) == (theirs.state.step, theirs.born)
        assert list(ours.theta) == list(theirs.theta) == list(NAMES)
        assert all(torch.equal(ours.theta[name], theirs.theta[name]) for name in NAMES)
        assert all(torch.equal(a, b) for a, b in zip(ours.state.slots, theirs.state.slots, strict=True))


def test_runs_saved_without_their_beginning_began_at_the_first_step():
    """States of before steps could read some sequences only."""
    runs, again = Pool(first_weights, STEPS, WINDOW, 3, 2), Pool(first_weights, STEPS, WINDOW, 3, 2)
    outer_steps(runs, 5, 8)
    kept = {name.replace("@5/", "/").replace("@6/", "/"): value for name, value in runs.tensors().items()}
    again.restore(kept)
    assert {name.replace("@0/", "/") for name in again.tensors()} == set(kept)
