"""Herding and k-centre against brute force and the best choice, and the vectors that they compare."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farzi.data import Sequences
from farzi.evaluation.controls import Control, Head, Herding, KCentre, Random
from farzi.evaluation.controls.selection import centres, features, herded
from farzi.evaluation.controls.subsets import cut


def points(seed: int, n: int, dim: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dim))


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 15))
def test_each_choice_of_herding_is_the_best_next_one(seed: int, n: int, count: int):
    vectors = points(seed, n)
    chosen = herded(vectors, count).tolist()
    assert len(set(chosen)) == len(chosen) == min(n, count)
    for place, taken in enumerate(chosen):
        left = [k for k in range(n) if k not in chosen[:place]]

        def error(k: int, before: list[int] = chosen[:place]) -> float:
            return float(np.linalg.norm(vectors[[*before, k]].mean(0) - vectors.mean(0)))

        assert error(taken) == pytest.approx(min(map(error, left)), rel=1e-9, abs=1e-12)


def test_herding_meets_the_mean_faster_than_chance():
    vectors = points(0, 2000, 8)
    mean = vectors.mean(0)
    rng = np.random.default_rng(1)
    by_chance = [np.linalg.norm(vectors[rng.permutation(2000)[:50]].mean(0) - mean) for _ in range(20)]
    assert np.linalg.norm(vectors[herded(vectors, 50)].mean(0) - mean) < 0.2 * np.mean(by_chance)


def radius(vectors: np.ndarray, chosen: list[int]) -> float:
    apart = np.linalg.norm(vectors[:, None] - vectors[chosen][None], axis=-1)
    return float(apart.min(1).max())


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 10))
def test_k_centre_is_greedy_and_within_twice_the_best(seed: int, n: int, count: int):
    vectors = points(seed, n)
    chosen = centres(vectors, count, seed % n).tolist()
    assert len(set(chosen)) == len(chosen) == min(n, count)
    assert chosen[0] == seed % n
    for place in range(1, len(chosen)):
        apart = np.linalg.norm(vectors[:, None] - vectors[chosen[:place]][None], axis=-1).min(1)
        assert apart[chosen[place]] == pytest.approx(apart.max(), rel=1e-6)
    best = min(radius(vectors, list(chosen)) for chosen in combinations(range(n), len(chosen)))
    assert radius(vectors, chosen) <= 2 * best + 1e-7


def test_equal_windows_are_each_chosen_once():
    log = Sequences.from_lists([[1, 2]] * 5)
    for control in (Herding(), KCentre()):
        assert len(control(log, 4, 9, np.random.default_rng(0))) == 5


def tf_idf(rows: list[list[int]]) -> np.ndarray:
    """Written out for events 1 to 6."""
    vectors = np.zeros((len(rows), 6))
    for place, row in enumerate(rows):
        for event, count in Counter(row).items():
            having = sum(event in other for other in rows)
            vectors[place, event - 1] = np.log(1 + count) * (np.log((1 + len(rows)) / (1 + having)) + 1)
        vectors[place] /= np.linalg.norm(vectors[place])
    return vectors


@given(st.lists(st.lists(st.integers(1, 6), min_size=2, max_size=9), min_size=1, max_size=8))
def test_the_vectors_of_windows(rows: list[list[int]]):
    whole = features(Sequences.from_lists(rows), 64).astype(float)
    expected = tf_idf(rows)
    assert features(Sequences.from_lists(rows), 2).dtype == np.float32
    assert np.abs(whole @ whole.T - expected @ expected.T).max() < 1e-5
    few = features(Sequences.from_lists(rows), 2).astype(float)
    if len(rows) > 2 and len({event for row in rows for event in row}) > 2:
        left, values, _ = np.linalg.svd(expected, full_matrices=False)
        nearest = (left[:, :2] * values[:2]) @ (left[:, :2] * values[:2]).T
        missed = np.linalg.norm(few @ few.T - expected @ expected.T)
        assert missed == pytest.approx(np.linalg.norm(nearest - expected @ expected.T), abs=1e-4)


def test_windows_are_cut_from_the_end():
    windows, turn = cut(Sequences.from_lists([[1, 2, 3, 4, 5], [6], [7, 8]]), 2)
    assert [one.tolist() for one in windows] == [[4, 5], [2, 3], [7, 8]]
    assert turn.tolist() == [0, 1, 0]


@pytest.mark.parametrize("control", [Random(), Head(), Herding(), KCentre()])
@pytest.mark.parametrize("count", [1, 7, 1000])
def test_every_control_chooses_windows_of_the_log_once_each(control: Control, count: int):
    rng = np.random.default_rng(0)
    rows = [(np.arange(length) + 20 * k + 1).tolist() for k, length in enumerate(rng.integers(1, 15, 40))]
    log = Sequences.from_lists(rows)
    windows = {tuple(one.tolist()) for one in cut(log, 5)[0]}
    chosen = [tuple(one.tolist()) for one in control(log, 5, count, np.random.default_rng(3))]
    assert len(chosen) == len(set(chosen)) == min(count, len(windows))
    assert set(chosen) <= windows
    again = [tuple(one.tolist()) for one in control(log, 5, count, np.random.default_rng(3))]
    assert again == chosen


def test_nothing_to_choose_from():
    for control in (Herding(), KCentre(), Random()):
        assert len(control(Sequences.from_lists([[1], [2]]), 5, 3, np.random.default_rng(0))) == 0


def test_herding_takes_of_each_kind_its_share_and_k_centre_one_of_each():
    """Three kinds of users, of very different numbers."""
    rng = np.random.default_rng(0)
    kinds = [(0, 120), (20, 60), (40, 4)]
    rows = [(rng.integers(1, 8, 10) + first).tolist() for first, users in kinds for _ in range(users)]
    log = Sequences.from_lists(rows)

    def shares(chosen: Sequences) -> list[int]:
        return np.bincount([int(one[0]) // 20 for one in chosen], minlength=3).tolist()

    herd = shares(Herding()(log, 10, 46, np.random.default_rng(0)))
    assert abs(herd[0] - 30) <= 3
    assert abs(herd[1] - 15) <= 3
    assert sorted(shares(KCentre()(log, 10, 3, np.random.default_rng(0)))) == [1, 1, 1]
