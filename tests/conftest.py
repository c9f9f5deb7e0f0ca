"""Settings of all tests, and small made-up logs and recipes that every test may ask for."""

import os

# Before PyTorch is imported: on tensors as small as these a second thread costs more than it brings.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import settings

from farzi.data import Holdout, Log, Sequences, Vocabulary
from farzi.recipe import Inner, Outer, Recipe, Select, SummaryShape, Teach
from farzi.recipe import variants as v

# No deadline: how long an example takes says more about the machine than about the code.
settings.register_profile("farzi", deadline=None)
settings.load_profile("farzi")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are called after their argument: a packed file holds the second it was packed at, and the
    workers, who collect apart, must find the same names.
    """
    return argname if isinstance(val, bytes) else None


MakeDataset = Callable[[Sequence[Sequence[int]], int], Log]


def _dataset(rows: Sequence[Sequence[int]], items: int) -> Log:
    """Rows of item indices (1..items); each user's last event is the test, the one before the validation."""
    sequences = [np.asarray(row, np.int64) for row in rows]
    users = tuple(f"u{i}" for i in range(len(sequences)))
    counts = np.bincount(np.concatenate(sequences), minlength=items + 1)
    frame = pl.DataFrame(
        {
            "index": np.arange(items + 1, dtype=np.uint32),
            "id": ["", *(f"i{k}" for k in range(1, items + 1))],
            "name": [None, *(f"Item {k}" if k % 2 else None for k in range(1, items + 1))],
            "count": counts.astype(np.uint32),
        },
        schema_overrides={"name": pl.String},
    )

    def part(begin: int | None, end: int | None) -> Sequences:
        return Sequences.from_lists([row[begin:end] for row in sequences], users)

    valid, test = Holdout(part(None, -2), part(-2, -1)), Holdout(part(None, -1), part(-1, None))
    return Log("made-up", Vocabulary(frame), part(None, -2), valid, test, {})


def _cyclic(users: int, items: int, seed: int, jumps: float = 0.1) -> list[list[int]]:
    """Walks around the ring of items, with jumps: what comes next is nearly always the next item."""
    rng = np.random.default_rng(seed)
    rows = []
    for length in rng.integers(6, 15, size=users):
        row = [int(rng.integers(items))]
        while len(row) < length:
            row.append(int(rng.integers(items)) if rng.random() < jumps else (row[-1] + 1) % items)
        rows.append([item + 1 for item in row])
    return rows


@pytest.fixture
def _generators_untouched() -> Iterator[None]:
    """Checks that a test leaves the global generators of PyTorch and NumPy where they were."""
    before = torch.get_rng_state(), np.random.get_state(legacy=False)
    yield
    after = torch.get_rng_state(), np.random.get_state(legacy=False)
    assert torch.equal(before[0], after[0])
    np.testing.assert_equal(after[1], before[1])


@pytest.fixture(scope="session")
def make_dataset() -> MakeDataset:
    """`make_dataset(rows, items)`: a dataset of rows of item indices."""
    return _dataset


@pytest.fixture(scope="session")
def tiny() -> Log:
    """60 users, 40 items, cyclic: learnable in a few steps."""
    return _dataset(_cyclic(60, 40, seed=0), 40)


@pytest.fixture(scope="session")
def cyclic_log(tiny: Log) -> Log:
    """`tiny` as the front door takes it, with the settings of a recipe."""
    return replace(tiny, settings=v.LogData())


@pytest.fixture(scope="session")
def other() -> Log:
    """As large as `tiny`, with other events."""
    return _dataset(_cyclic(60, 40, seed=1), 40)


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """A distillation of `tiny` that takes half a second."""
    return Recipe(
        student=v.SASRec(hidden=8),
        teach=Teach(max_steps=10, validate_every=5),
        summary=SummaryShape(sequences=6, length=5, parametrization=v.LowRank(dim=4, label_decoder=False)),
        init=v.TransitionInit(),
        inner=Inner(optimizer=v.Adam(learning_rate=0.02), cooldown=0.0, steps=6, batch=None),
        outer=Outer(steps=8, batch=16, learning_rate=0.03, window=2, burn_in=1, pool=3),
        select=Select(every=3, students=1),
    )
