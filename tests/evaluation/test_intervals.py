"""Intervals against scipy and against simulated data of known truth."""

import numpy as np
import pytest
from scipy import stats

from farzi.evaluation import intervals, jackknife_interval, paired_ratio, seed_interval


def test_the_seed_interval_is_students():
    figures = np.array([12.0, 12.5, 11.0, 13.0, 12.2])
    mean, low, high = seed_interval(figures)
    expected = stats.t.interval(0.95, len(figures) - 1, loc=figures.mean(), scale=stats.sem(figures))
    assert mean == figures.mean()
    assert (low, high) == pytest.approx(expected)


def test_one_seed_has_no_width():
    assert seed_interval(np.array([3.0])) == (3.0, 3.0, 3.0)


def test_the_jackknife_of_a_mean_is_students_interval():
    values = np.random.default_rng(0).exponential(size=50)
    without = np.array([np.delete(values, k).mean() for k in range(50)])
    assert jackknife_interval(values.mean(), without) == pytest.approx(seed_interval(values))
    assert jackknife_interval(0.3, np.array([0.3])) == (0.3, 0.3, 0.3)


def test_the_jackknife_of_a_curved_figure_is_near_the_bootstraps():
    values = np.random.default_rng(1).normal(4.0, 1.5, size=400)
    without = np.array([np.exp(-np.delete(values, k).mean()) for k in range(400)])
    drawn = stats.bootstrap((values,), lambda x, axis: np.exp(-x.mean(axis)), rng=0, n_resamples=4000)
    value, low, _ = jackknife_interval(np.exp(-values.mean()), without)
    assert value - low == pytest.approx(1.96 * drawn.standard_error, rel=0.05)


def hits(rng: np.random.Generator, seeds: int, chance: np.ndarray) -> np.ndarray:
    """Hits of some students, (seeds, users), each user with a chance of their own."""
    return (rng.random((seeds, len(chance))) < chance).astype(float)


def test_two_equal_sets_have_the_ratio_one():
    figures = hits(np.random.default_rng(0), 5, np.full(2000, 0.5))
    mean, low, high = paired_ratio(figures, figures)
    assert mean == 1
    assert low < 1 < high
    assert high - low < 0.1
    # without anything that varies from seed to seed, pairing leaves no doubt at all
    same = np.tile(figures[:1], (5, 1))
    assert paired_ratio(same, same) == (1, 1, 1)


def test_users_are_paired():
    easy = np.concatenate([np.ones(100), np.zeros(900)])  # who is hit differs wildly from user to user
    ours, theirs = np.tile(easy * 0.9, (5, 1)), np.tile(easy, (5, 1))
    assert paired_ratio(ours, theirs) == pytest.approx((0.9, 0.9, 0.9))


def test_nothing_hit_has_no_ratio():
    assert np.isnan(paired_ratio(np.ones((2, 5)), np.zeros((2, 5)))).all()
    assert paired_ratio(np.zeros((2, 5)), np.ones((2, 5))) == (0, 0, 0)


def test_the_same_seed_gives_the_same_interval_in_parts_of_any_size(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    ours, theirs = hits(rng, 3, np.full(50, 0.4)), hits(rng, 5, np.full(50, 0.5))
    whole = paired_ratio(ours, theirs, draws=100)
    monkeypatch.setattr(intervals, "PART", 333)
    assert paired_ratio(ours, theirs, draws=100) == pytest.approx(whole)
    assert paired_ratio(ours, theirs, draws=100, seed=1) != pytest.approx(whole)


def test_other_users_are_refused():
    with pytest.raises(ValueError, match="same units, got 5 and 6"):
        paired_ratio(np.ones((2, 5)), np.ones((2, 6)))


def test_the_interval_covers_the_truth_and_is_not_much_wider_than_it_must_be():
    rng = np.random.default_rng(0)
    covered, means, widths = 0, [], []
    for case in range(150):
        chance = rng.beta(0.5, 1.5, size=300)  # users are easy or hard; the truth is over all of them
        ours, theirs = hits(rng, 5, 0.8 * chance), hits(rng, 5, chance)
        mean, low, high = paired_ratio(ours, theirs, draws=300, seed=case)
        covered += low <= 0.8 <= high
        means.append(mean)
        widths.append(high - low)
    assert covered >= 143  # 95 % of 150
    best = 2 * 1.96 * np.std(means)
    assert best <= np.mean(widths) <= 2 * best
