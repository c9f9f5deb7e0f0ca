import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farzi.data import Holdout, Sequences, crops, pad_left

lists = st.lists(st.lists(st.integers(1, 50), max_size=6), max_size=8)


def made(rows, users=None):
    return Sequences.from_lists(rows, users)


@given(lists)
def test_sequences_are_the_lists_they_were_made_of(rows):
    sequences = made(rows)
    assert [one.tolist() for one in sequences] == rows
    assert sequences.lengths.tolist() == [len(row) for row in rows]
    assert len(sequences) == len(rows)
    assert sequences.items.dtype == sequences.offsets.dtype == np.int64


@given(lists, st.data())
def test_select_and_last(rows, data):
    sequences = made(rows, [f"u{i}" for i in range(len(rows))])
    indices = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=9)) if rows else []
    chosen = sequences.select(indices)
    assert [one.tolist() for one in chosen] == [rows[i] for i in indices]
    assert chosen.users == tuple(f"u{i}" for i in indices)
    n = data.draw(st.integers(0, 7))
    cut = sequences.last(n)
    assert [one.tolist() for one in cut] == [row[max(0, len(row) - n) :] for row in rows]
    assert cut.users == sequences.users


def test_select_takes_a_mask_and_an_index_may_be_negative():
    sequences = made([[1], [2, 3], [4]])
    assert [one.tolist() for one in sequences.select(np.array([True, False, True]))] == [[1], [4]]
    assert sequences[-1].tolist() == [4]
    with pytest.raises(IndexError):
        sequences[3]


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="offsets"):
        Sequences(np.array([1, 2]), np.array([0, 1]))
    with pytest.raises(ValueError, match="users"):
        made([[1], [2]], ["a"])
    with pytest.raises(ValueError, match="same users"):
        Holdout(made([[1]], ["a"]), made([[1]], ["b"]))


@given(lists, st.integers(1, 8))
def test_pad_left(rows, length):
    expected = [([0] * length + row)[-length:] for row in rows]
    for given_as in (made(rows), rows, [np.array(row, np.int64) for row in rows]):
        padded = pad_left(given_as, length)
        assert padded.shape == (len(rows), length)
        assert padded.dtype == np.int64
        assert padded.tolist() == expected


@given(
    st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=9), min_size=1, max_size=5), st.integers(1, 6)
)
def test_crops_are_windows(rows, length):
    drawn = crops(made(rows), length, 40, np.random.default_rng(0))
    assert drawn.shape == (40, length)
    assert drawn.dtype == np.int64
    windows = {
        tuple(([0] * length + row[start : start + length])[-length:])
        for row in rows
        for start in range(max(1, len(row) - length + 1))
    }
    assert {tuple(window) for window in drawn.tolist()} <= windows


def test_crops_reach_every_event_in_proportion_to_what_a_user_teaches():
    rows = [[1, 2, 3, 4, 5, 6, 7], [8, 9, 10], [11]]
    drawn = crops(made(rows), 3, 9_000, np.random.default_rng(1))
    assert set(drawn[drawn > 0].tolist()) == set(range(1, 12))
    owner = np.array([0 if row[-1] <= 7 else 1 if row[-1] <= 10 else 2 for row in drawn])
    assert np.bincount(owner) / 9_000 == pytest.approx([6 / 9, 2 / 9, 1 / 9], abs=0.02)
    starts = np.bincount(drawn[owner == 0][:, 0])[1:]
    assert starts / starts.sum() == pytest.approx([0.2] * 5, abs=0.03)


def test_crops_depend_on_the_generator_alone():
    sequences = made([list(range(1, 30)), [5, 6]])
    again = [crops(sequences, 4, 16, np.random.default_rng(7)) for _ in range(2)]
    assert (again[0] == again[1]).all()
    assert again[0][0].tolist() == crops(sequences, 4, 16, np.random.default_rng(7))[0].tolist()
    with pytest.raises(ValueError, match="no sequences"):
        crops(made([]), 4, 16, np.random.default_rng(7))


def test_a_length_below_one_is_a_mistake():
    with pytest.raises(ValueError, match="length"):
        pad_left(made([[1]]), 0)
    with pytest.raises(ValueError, match="length"):
        crops(made([[1]]), 0, 1, np.random.default_rng(0))
