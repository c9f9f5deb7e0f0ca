"""Random and head: which windows are chosen, in which order, and never more than wanted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farzi.data import Sequences
from farzi.evaluation.controls import Head, Random, bytes_per_event

logs = st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=12), min_size=1, max_size=8)


def in_order(rows: list[list[int]], length: int, count: int) -> list[list[int]]:
    """The documented order, for rows in the order of their users: last windows, second to last ones, ..."""
    turns = []
    for row in rows:
        windows = []
        while row:
            windows.append(row[-length:])
            row = row[: len(row) - len(windows[-1])]
        turns.append(windows)
    chosen = []
    for turn in range(max(len(windows) for windows in turns)):
        chosen += [windows[turn] for windows in turns if turn < len(windows) and len(windows[turn]) > 1]
    return chosen[:count]


@given(logs, st.integers(2, 5), st.integers(1, 30))
def test_head_takes_the_most_active_users_first(rows: list[list[int]], length: int, count: int):
    chosen = Head()(Sequences.from_lists(rows), length, count, np.random.default_rng(0))
    assert [one.tolist() for one in chosen] == in_order(sorted(rows, key=len, reverse=True), length, count)


@given(logs, st.integers(2, 5), st.integers(1, 30), st.integers(0, 3))
def test_random_takes_users_in_a_drawn_order(rows: list[list[int]], length: int, count: int, seed: int):
    chosen = Random()(Sequences.from_lists(rows), length, count, np.random.default_rng(seed))
    order = np.random.default_rng(seed).permutation(len(rows))
    assert [one.tolist() for one in chosen] == in_order([rows[i] for i in order], length, count)


def test_random_is_another_choice_for_another_seed():
    log = Sequences.from_lists([[k, k + 1] for k in range(1, 100)])
    first, second, third = (Random()(log, 5, 10, np.random.default_rng(seed)) for seed in (0, 1, 0))
    assert first.items.tolist() != second.items.tolist()
    assert first.items.tolist() == third.items.tolist()


def test_windows_of_one_event_are_left_out():
    log = Sequences.from_lists([[1], [2, 3, 4], [5], [6, 7]])
    chosen = Head()(log, 2, 10, np.random.default_rng(0))
    assert [one.tolist() for one in chosen] == [[3, 4], [6, 7]]
    assert len(Head()(Sequences.from_lists([[1], [2]]), 2, 10, np.random.default_rng(0))) == 0


@pytest.mark.parametrize(("vocabulary", "size"), [(2, 2), (2**16, 2), (2**16 + 1, 4)])
def test_events_are_stored_as_the_smallest_usual_integers(vocabulary: int, size: int):
    assert bytes_per_event(vocabulary) == size
    assert np.iinfo(f"uint{8 * size}").max >= vocabulary - 1
