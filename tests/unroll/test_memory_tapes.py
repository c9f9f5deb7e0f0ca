"""Tapes by themselves: every step is given back as it was, and costs are what is held and made again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farzi.unroll import (
    Algorithm1 as Invert,
)
from farzi.unroll import (
    Checkpoints,
    Cost,
    Memory,
    OnHost,
    SquareRoot,
    Store,
    StoreGradients,
    Window,
)
from farzi.unroll.memory import around as host

from .tapes import Shelf, Watched, same_step, toy_run

COUNTS = st.integers(1, 9)
KEPT = st.one_of(
    st.builds(Store, st.booleans()), st.builds(StoreGradients, COUNTS), st.builds(Checkpoints, COUNTS)
)
PIECES = st.recursive(
    KEPT,
    lambda inner: st.one_of(st.builds(Checkpoints, COUNTS, COUNTS, inner), st.builds(SquareRoot, inner)),
    max_leaves=3,
)
STRATEGIES = st.one_of(PIECES, st.builds(Window, st.integers(1, 30), PIECES))


def costs_as_watched(
    memory: Memory, steps: int, slots: int, parameters: int = 2, intermediates: int = 0
) -> None:
    watched = Watched(memory)
    made, given = toy_run(watched, steps, slots, parameters, intermediates)
    assert len(made) == len(given)
    assert all(map(same_step, made, given))
    bare = sum(not step.intermediates for step in given) if intermediates else 0
    found = Cost(watched.shelf.most, 0, len(watched.gradients), len(watched.updates), bare)
    assert found == memory.cost(steps, parameters, slots, intermediates)
    assert watched.shelf.held == 0


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    memory=STRATEGIES,
    steps=st.integers(0, 45),
    slots=st.integers(0, 2),
    parameters=st.integers(1, 3),
    intermediates=st.integers(0, 5),
)
def test_any_strategy_gives_back_what_was_and_costs_what_it_says(
    memory: Memory, steps: int, slots: int, parameters: int, intermediates: int
) -> None:
    costs_as_watched(memory, steps, slots, parameters, intermediates)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 6, 9, 10, 11, 20, 35, 40, 84, 100])
def test_the_named_strategies_at_many_lengths(steps: int) -> None:
    for slots in range(1, 12):
        costs_as_watched(Checkpoints(slots), steps, slots=2)
        costs_as_watched(StoreGradients(slots), steps, slots=2)
    for memory in (Store(), SquareRoot(), SquareRoot(StoreGradients(1)), Window(7, SquareRoot())):
        costs_as_watched(memory, steps, slots=2)


def test_a_step_is_let_go_as_it_is_popped() -> None:
    held = []
    watched = Watched(Store())
    toy_run(watched, 5, slots=2, parameters=3, popped=lambda index: held.append(watched.shelf.held))
    assert held == [4 * 12, 3 * 12, 2 * 12, 12, 0]


def test_costs_in_the_readers_own_numbers() -> None:
    """T = 100 steps, P = 1000, and Adam's two slots."""
    assert Store().cost(100, 1000, 2) == Cost(device=400_000)
    assert StoreGradients(slots=4).cost(100, 1000, 2) == Cost(device=115_000, updates=275)
    assert SquareRoot().cost(100, 1000, 2) == Cost(device=67_000, gradients=90, updates=81)
    assert Checkpoints(slots=10).cost(100, 1000, 2) == Cost(device=34_000, gradients=222, updates=123)
    assert Invert().cost(100, 1000, 2) == Cost(device=4_000, gradients=99, updates=99)
    assert Window(last=10).cost(100, 1000, 2) == Cost(device=40_000)
    assert OnHost(StoreGradients(slots=4)).cost(100, 1000, 2) == Cost(host=115_000, updates=275)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(inner=PIECES, steps=st.integers(0, 30), around=st.booleans())
def test_on_the_host_goes_all_that_the_other_strategy_keeps(inner: Memory, steps: int, around: bool) -> None:
    shelves = []

    def fake(device: object) -> Shelf:
        shelves.append(Shelf())
        return shelves[-1]

    memory = Window(20, OnHost(inner)) if around else OnHost(inner)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "Host", fake)
        watched = Watched(memory)
        made, given = toy_run(watched, steps, slots=2)
    assert all(map(same_step, made, given))
    assert (watched.shelf.most, shelves[0].most) == (0, memory.cost(steps, 2, 2).host)
    assert memory.cost(steps, 2, 2).host == (Window(20, inner) if around else inner).cost(steps, 2, 2).device
    assert shelves[0].held == 0


def test_only_the_piece_at_hand_on_the_host() -> None:
    memory = Checkpoints(slots=2, every=5, within=OnHost(Store()))
    assert memory.cost(20, 1, 2) == Cost(device=2 * 3, host=5 * 4, gradients=20, updates=20 - 3)
    watched = Watched(memory)
    toy_run(watched, 20, slots=2, parameters=1)
    assert watched.shelf.most == 6


def test_what_makes_no_sense_is_refused() -> None:
    for make, words in [
        (lambda: StoreGradients(slots=0), r"StoreGradients\(slots=0\): at least one state"),
        (lambda: Checkpoints(slots=0), r"Checkpoints\(slots=0\): at least one state"),
        (lambda: Checkpoints(3, every=0), r"Checkpoints\(every=0\): a piece has at least one step"),
        (lambda: Window(last=0), r"Window\(last=0\)"),
        (lambda: toy_run(SquareRoot(Window(1)), 9, 1), "all steps of a piece are needed"),
    ]:
        with pytest.raises(ValueError, match=words):
            make()
