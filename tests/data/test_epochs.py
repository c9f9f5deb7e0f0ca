"""Epochs of windows: every next event is predicted, batches are no larger than wanted."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farzi.data import Sequences, epoch


def log_of(lengths: list[int]) -> Sequences:
    """Sequences of these lengths; every event in them has an index of its own."""
    ends = np.cumsum([0, *lengths]) + 1
    return Sequences.from_lists([[*range(begin, end)] for begin, end in pairwise(ends)])


def batches(lengths: list[int], length: int, events: int, seed: int = 0) -> list[np.ndarray]:
    return [*epoch(log_of(lengths), length, events, np.random.default_rng(seed))]


some = st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(lambda lengths: max(lengths) > 1)


@given(some, st.integers(2, 12), st.integers(1, 60), st.integers(0, 9))
def test_every_next_event_is_predicted_from_a_window_of_its_sequence(
    lengths: list[int], length: int, events: int, seed: int
):
    log = log_of(lengths)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    predicted: dict[int, int] = {}
    for batch in batches(lengths, length, events, seed):
        assert batch.dtype == np.int64
        assert batch.shape[1] <= length
        assert batch.size <= events or len(batch) == 1
        assert (batch[:, 0] > 0).any()  # no column of padding alone
        for row in batch:
            window = row[row > 0]
            assert (row[: len(row) - len(window)] == 0).all()  # padded on the left
            assert len(window) > 1
            assert (np.diff(window) == 1).all()  # consecutive events
            assert len({*owner[window - 1]}) == 1  # of one sequence
            for event in window[1:]:
                predicted[int(event)] = predicted.get(int(event), 0) + 1
    firsts = {int(one[0]) for one in log if len(one)}
    assert {*predicted} == {*range(1, sum(lengths) + 1)} - firsts
    assert max(predicted.values()) <= 2  # only what the last windows share with those before them


@given(some, st.integers(2, 12), st.integers(0, 9))
def test_the_last_events_of_every_sequence_have_a_whole_window(lengths: list[int], length: int, seed: int):
    rows = [tuple(row[row > 0]) for batch in batches(lengths, length, 30, seed) for row in batch]
    assert len(rows) == len({*rows})
    for one in log_of(lengths):
        if len(one) > 1:
            assert tuple(one[-length:]) in rows


def test_a_sequence_is_cut_at_other_places_in_every_epoch():
    cuts = {
        min(row[0] for batch in batches([90], 10, 50, seed) for row in batch if 1 not in row)
        for seed in range(40)
    }
    assert len(cuts) > 5


@pytest.mark.parametrize("length", [8, 200])
def test_windows_of_like_length_stand_in_a_batch(length: int):
    lengths = [*np.random.default_rng(0).integers(2, 150, size=400)]
    found = batches(lengths, length, 10 * length)
    assert sum((batch == 0).sum() for batch in found) < 0.1 * sum(batch.size for batch in found)
    assert [len(batch) for batch in found] != sorted(len(batch) for batch in found)  # in random order


def test_an_epoch_depends_on_the_generator_alone():
    lengths = [*np.random.default_rng(1).integers(0, 30, size=50)]
    first, again, other = (batches(lengths, 6, 40, seed) for seed in (3, 3, 4))
    assert len(first) == len(again)
    assert all(np.array_equal(one, same) for one, same in zip(first, again, strict=True))
    assert not all(np.array_equal(one, same) for one, same in zip(first, other, strict=False))
