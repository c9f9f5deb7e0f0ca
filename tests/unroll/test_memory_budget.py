"""Bytes instead of a strategy: the fastest one that fits."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farzi.unroll import SGD, Adam, Budget, Checkpoints, Memory, SquareRoot, Store, StoreGradients, unroll
from farzi.unroll.memory.budget import BARE

MB = 10**6


@pytest.mark.parametrize(
    ("size", "size_in_bytes"),
    [
        ("2GiB", 2 * 2**30),
        ("500 MB", 500 * MB),
        ("1.5 GB", 1500 * MB),
        (" 0.1KiB ", 102),
        ("12 kB", 12_000),
        ("7 B", 7),
        ("9007199254740993 B", 9007199254740993),
    ],
)
def test_sizes_as_one_writes_them(size: str, size_in_bytes: int) -> None:
    assert Budget(size).bytes == size_in_bytes


@pytest.mark.parametrize("size", ["", "2", "2G", "GiB", "-1 GB", "1e9 B", "2 gib", "1,5 GB", "2GiB 3"])
def test_other_strings_are_refused(size: str) -> None:
    with pytest.raises(ValueError, match=r'write a number and a unit, as in "2GiB"; units are B, kB'):
        Budget(size)


@pytest.mark.parametrize("size", [2 * 2**30, 0, 1.5, b"2GiB"])
def test_a_bare_number_is_refused(size: Any) -> None:
    with pytest.raises(TypeError, match='write a number and a unit, as in "2GiB" or "500 MB"'):
        Budget(size)


@pytest.mark.parametrize("memory", [2 * 2**30, Store, object()])
def test_what_is_no_memory_is_refused(memory: Any) -> None:
    with pytest.raises(TypeError, match=r'memory must be a strategy .* or bytes with a unit such as "2GiB"'):
        unroll(lambda th, d, b: th.sum(), torch.ones(2), {}, SGD(), range(2), memory)


def test_less_and_less_memory() -> None:
    """A million parameters in float32, Adam, 100 steps: from 1.6 GB down."""
    found = {
        size: Budget(f"{size} MB").choose(100, MB, 2, 4) for size in (1600, 1599, 500, 300, 160, 100, 28)
    }
    assert found == {
        1600: Store(),
        1599: StoreGradients(slots=98),
        500: StoreGradients(slots=7),
        300: Checkpoints(slots=1, every=66, within=StoreGradients(slots=1)),
        160: Checkpoints(slots=3, every=25, within=StoreGradients(slots=1)),
        100: Checkpoints(slots=3, every=10, within=StoreGradients(slots=1)),
        28: Checkpoints(slots=1),
    }


def family(steps: int, slots: int) -> Iterator[Memory]:
    """All that there is to choose from."""
    yield Store()
    yield Store(intermediates=False)
    yield SquareRoot()
    yield SquareRoot(StoreGradients(slots=1))
    for few in range(1, steps + 1):
        yield StoreGradients(few)
        yield Checkpoints(few)
        yield Checkpoints(few, within=Store(intermediates=False))
        for every in range(2, steps + 1):
            yield Checkpoints(few, every)
            yield Checkpoints(few, every, Store(intermediates=False))
            for inner in range(1, every + 1):
                yield Checkpoints(few, every, StoreGradients(inner))


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    steps=st.integers(1, 12),
    slots=st.integers(0, 2),
    vectors=st.integers(1, 50),
    kept=st.sampled_from([0, 3, 20]),
)
def test_nothing_that_fits_is_faster(steps: int, slots: int, vectors: int, kept: int) -> None:
    budget, floats = Budget(f"{vectors * 40 + 39} B"), vectors * 5 + 4
    fitting = [
        memory for memory in family(steps, slots) if memory.cost(steps, 5, slots, kept).device <= floats
    ]
    if not fitting:
        with pytest.raises(ValueError, match="too little"):
            budget.choose(steps, 5, slots, 8, kept)
        return
    found = budget.choose(steps, 5, slots, 8, kept).cost(steps, 5, slots, kept)
    assert found.device <= floats
    costs = [memory.cost(steps, 5, slots, kept) for memory in fitting]
    best = min((cost.gradients + BARE * cost.bare, cost.updates) for cost in costs)
    assert (found.gradients + BARE * found.bare, found.updates) == best


def test_too_little_names_what_would_do() -> None:
    words = (
        r"memory='20 MB' is too little: 100 steps of 1,000,000 parameters and 2 slots take at least 26.8 MiB"
    )
    with pytest.raises(ValueError, match=words):
        Budget("20 MB").choose(100, MB, 2, 4)
    assert Budget("26.8 MiB").choose(100, MB, 2, 4) == Checkpoints(slots=1)
    with pytest.raises(ValueError, match="at least 64 B"):
        unroll(lambda th, d, b: th.sum(), torch.ones(4), {}, Adam(), range(1), "63 B")
    with pytest.raises(ValueError, match=r"at least 1.1 KiB"):
        unroll(lambda th, d, b: th.sum(), torch.ones(40), {}, Adam(), range(5), "1 KiB")


def test_no_step_needs_nothing() -> None:
    assert Budget("0 B").choose(0, 5, 2, 4) == Store()


def test_bytes_count_in_the_dtype_of_the_run() -> None:
    """Two parameters and SGD, eight steps: `Store` takes 32 floats."""
    for dtype, memory in ((torch.float32, "128 B"), (torch.float64, "256 B")):
        theta0 = torch.ones(2, dtype=dtype)
        least = Budget(memory).choose(8, 2, 0, dtype.itemsize)
        assert least == Store()
        assert Budget("127 B").choose(8, 2, 0, dtype.itemsize) != Store()
        unroll(lambda th, d, b: th.sum(), theta0, {}, SGD(), range(8), Budget(memory))
