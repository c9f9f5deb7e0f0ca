"""How near synthetic sequences are to real ones, against a comparison of every window, one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from farzi.data import Sequences
from farzi.evaluation import nearest_windows

events = st.integers(0, 4)
real_events = st.integers(1, 4)


def one_by_one(sequence: list[int], real: list[list[int]]) -> tuple[int, int]:
    """The most equal positions of a window, and the longest run of them."""
    length, most, longest = len(sequence), 0, 0
    for other in real:
        for start in range(1 - length, len(other)):
            window = [other[start + k] if 0 <= start + k < len(other) else None for k in range(length)]
            equal = [one == two and one > 0 for one, two in zip(sequence, window, strict=True)]
            most = max(most, sum(equal))
            for begin in range(length):
                for end in range(begin, length):
                    if all(equal[begin : end + 1]):
                        longest = max(longest, end + 1 - begin)
    return most, longest


@given(
    st.integers(1, 7).flatmap(
        lambda length: st.lists(st.lists(events, min_size=length, max_size=length), min_size=1, max_size=3)
    ),
    st.lists(st.lists(real_events, max_size=30), min_size=1, max_size=5),
    st.sampled_from([1, 16, 2**20]),
)
def test_it_is_what_a_comparison_one_by_one_gives(synthetic, real, chunk):
    near = nearest_windows(np.array(synthetic), Sequences.from_lists(real), chunk)
    expected = [one_by_one(sequence, real) for sequence in synthetic]
    assert list(zip(near.equal.tolist(), near.run.tolist(), strict=True)) == expected


def test_a_window_does_not_span_two_people():
    near = nearest_windows(np.array([[1, 2, 3, 4]]), Sequences.from_lists([[1, 2], [3, 4]]))
    assert (near.equal.tolist(), near.run.tolist()) == ([2], [2])


def test_a_copy_is_found_in_a_large_log():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 400, 1000)
    items = rng.integers(1, 500, lengths.sum())
    real = Sequences(items, np.concatenate([[0], np.cumsum(lengths)]))
    copies = np.stack([real[k][:20] for k in np.flatnonzero(lengths >= 20)[:3]])
    copies[1, 10] = 500  # occurs nowhere
    near = nearest_windows(copies, real, chunk=5000)
    assert near.equal.tolist() == [20, 19, 20]
    assert near.run.tolist() == [20, 10, 20]
