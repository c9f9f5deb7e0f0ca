"""95 % intervals: over seeds for one training's figure, over users for the ratio of two."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95
PART = 2**24
"""Weights of the bootstrap held at a time: 128 MiB."""


class Interval(NamedTuple):
    """A mean, or a ratio of means, and its 95 % interval."""

    mean: float
    low: float
    high: float


def seed_interval(figures: np.ndarray) -> Interval:
    """Mean over seeds, (seeds,), and Student's t interval of it; of no width for a single seed.

    It tells how far the figure moves with the random first weights, the users being what they are.
    """
    mean = float(np.mean(figures))
    if len(figures) < 2:
        return Interval(mean, mean, mean)
    error = np.std(figures, ddof=1) / len(figures) ** 0.5
    quantile = stdtrit(
        len(figures) - 1, 0.5 + LEVEL / 2
    )  # scipy.stats.t has it too, but takes a second to load
    width = float(quantile * error)
    return Interval(mean, mean - width, mean + width)


def difference_interval(ours: np.ndarray, theirs: np.ndarray) -> Interval:
    """Mean of some seeds' figures less that of others', and Welch's t interval of it (Biometrika 34, 1947).

    Args:
        ours: (n,), n ≥ 2.
        theirs: (m,), m ≥ 2, of other variance perhaps.
    """
    mean = float(np.mean(ours) - np.mean(theirs))
    parts = [np.var(figures, ddof=1) / len(figures) for figures in (ours, theirs)]
    error = math.fsum(parts) ** 0.5
    if error == 0:
        return Interval(mean, mean, mean)
    freedom = error**4 / sum(part**2 / (len(figures) - 1) for part, figures in zip(parts, (ours, theirs)))
    width = float(stdtrit(freedom, 0.5 + LEVEL / 2) * error)
    return Interval(mean, mean - width, mean + width)


def jackknife_interval(value: float, without: np.ndarray) -> Interval:
    """A statistic of n units and Student's t interval of it by the jackknife; of no width for fewer than two.

    Its standard error is √((n − 1)/n Σ (value without one − their mean)²) (Tukey 1958; Efron and Stein, The
    jackknife estimate of variance, 1981).

    Args:
        value: of all units.
        without: those without each of them, (n,).
    """
    n = len(without)
    if n < 2:
        return Interval(value, value, value)
    error = ((n - 1) / n * np.square(without - without.mean()).sum()) ** 0.5
    width = float(stdtrit(n - 1, 0.5 + LEVEL / 2) * error)
    return Interval(value, value - width, value + width)


def _mean(means: np.ndarray) -> np.ndarray:
    return means


def paired_ratio(
    ours: np.ndarray,
    theirs: np.ndarray,
    draws: int = 2000,
    seed: int = 0,
    figure: Callable[[np.ndarray], np.ndarray] = _mean,
) -> Interval:
    """Ratio of two mean figures with a paired bootstrap over users (passages, of a text) and seeds.

    Both were measured on the same users, and share what makes a user easy or hard: each draw takes users with
    replacement, the same for both, and seeds with replacement, for each by itself, and forms the ratio of the
    means. What is neither the user's nor the seed's is counted twice that way: the interval is on the wide
    side (Owen, The pigeonhole bootstrap, 2007).

    Args:
        ours: figures, (seeds, users).
        theirs: figures, (seeds', users).
        draws: bootstrap samples.
        seed: of the draws.
        figure: from the mean over users to a seed's figure; the mean itself if left out.

    Returns:
        The ratio of the means with the percentiles of the draws; nan where theirs is 0.
    """
    if ours.shape[1] != theirs.shape[1]:
        raise ValueError(f"both must have the same users, got {ours.shape[1]} and {theirs.shape[1]}")
    whole = figure(theirs.mean(1)).mean()
    if whole == 0:
        return Interval(np.nan, np.nan, np.nan)
    rng = np.random.default_rng(seed)
    users = ours.shape[1]
    both = np.concatenate([ours, theirs])  # (seeds + seeds', users)
    by_seed = np.empty((draws, len(both)))
    for part in range(0, draws, rows := max(1, PART // users)):
        size = min(rows, draws - part)
        weights = rng.multinomial(users, np.full(users, 1 / users), size=size)  # (size, users)
        by_seed[part : part + size] = figure(weights @ both.T / users)

    def over_seeds(by_seed: np.ndarray) -> np.ndarray:
        picked = rng.integers(by_seed.shape[1], size=by_seed.shape)
        return np.take_along_axis(by_seed, picked, axis=1).mean(1)

    above, below = over_seeds(by_seed[:, : len(ours)]), over_seeds(by_seed[:, len(ours) :])
    ratios = above / np.where(below == 0, np.nan, below)
    low, high = np.nanpercentile(ratios, [50 - 50 * LEVEL, 50 + 50 * LEVEL])
    return Interval(float(figure(ours.mean(1)).mean() / whole), float(low), float(high))
