"""95 % intervals: over seeds for one figure, over units and seeds for the ratio or difference of two."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95
PART = 2**24
"""Bootstrap weights in memory at a time: 128 MiB."""


class Interval(NamedTuple):
    """A mean, or a ratio of means, and its 95 % interval."""

    mean: float
    low: float
    high: float


def seed_interval(figures: np.ndarray) -> Interval:
    """Mean over seeds, (seeds,), and its Student's t interval; of no width for a single seed.

    The interval covers the random first weights, for the given users.
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
    """Difference of the means over seeds, and its Welch t interval (Biometrika 34, 1947).

    Args:
        ours: (n,), n ≥ 2.
        theirs: (m,), m ≥ 2; the variances may differ.
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
    """A statistic of n units and its Student's t interval by the jackknife; of no width if n < 2.

    The standard error is √((n − 1)/n Σ (value without one unit − their mean)²) (Tukey 1958; Efron and Stein,
    The jackknife estimate of variance, 1981).

    Args:
        value: the statistic of all units.
        without: the statistic without each of the units, (n,).
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
    """Ratio of two figures, with a paired bootstrap over units (users, passages) and seeds.

    Both were measured on the same units. Each draw takes units with replacement, the same for both, and
    seeds with replacement, independently for each, and forms the ratio. The interval is somewhat too wide,
    because variance that belongs to neither units nor seeds is counted twice (Owen, The pigeonhole bootstrap,
    2007).

    Args:
        ours: per-unit values, (seeds, units).
        theirs: per-unit values, (seeds', units).
        draws: bootstrap samples.
        seed: of the draws.
        figure: from the mean over units to a seed's figure; the mean itself if left out.

    Returns:
        The ratio with percentiles of the draws; nan if theirs is 0.

    Raises:
        ValueError: the numbers of units differ.
    """
    whole = figure(theirs.mean(1)).mean()
    if whole == 0:
        _check_units(ours, theirs)
        return Interval(np.nan, np.nan, np.nan)
    above, below = _paired_draws(ours, theirs, draws, seed, figure)
    ratios = above / np.where(below == 0, np.nan, below)
    low, high = np.nanpercentile(ratios, [50 - 50 * LEVEL, 50 + 50 * LEVEL])
    return Interval(float(figure(ours.mean(1)).mean() / whole), float(low), float(high))


def paired_difference(
    ours: np.ndarray,
    theirs: np.ndarray,
    draws: int = 2000,
    seed: int = 0,
    figure: Callable[[np.ndarray], np.ndarray] = _mean,
) -> Interval:
    """Difference of two figures, with the bootstrap and the arguments of `paired_ratio`."""
    mean = float(figure(ours.mean(1)).mean() - figure(theirs.mean(1)).mean())
    above, below = _paired_draws(ours, theirs, draws, seed, figure)
    low, high = np.percentile(above - below, [50 - 50 * LEVEL, 50 + 50 * LEVEL])
    return Interval(mean, float(low), float(high))


def _paired_draws(
    ours: np.ndarray,
    theirs: np.ndarray,
    draws: int,
    seed: int,
    figure: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Both figures in each bootstrap sample, (draws,) each."""
    _check_units(ours, theirs)
    rng = np.random.default_rng(seed)
    units = ours.shape[1]
    both = np.concatenate([ours, theirs])  # (seeds + seeds', units)
    by_seed = np.empty((draws, len(both)))
    for part in range(0, draws, rows := max(1, PART // units)):
        size = min(rows, draws - part)
        weights = rng.multinomial(units, np.full(units, 1 / units), size=size)  # (size, units)
        by_seed[part : part + size] = figure(weights @ both.T / units)

    def over_seeds(by_seed: np.ndarray) -> np.ndarray:
        picked = rng.integers(by_seed.shape[1], size=by_seed.shape)
        return np.take_along_axis(by_seed, picked, axis=1).mean(1)

    return over_seeds(by_seed[:, : len(ours)]), over_seeds(by_seed[:, len(ours) :])


def _check_units(ours: np.ndarray, theirs: np.ndarray) -> None:
    if ours.shape[1] != theirs.shape[1]:
        raise ValueError(f"both must have the same units, got {ours.shape[1]} and {theirs.shape[1]}")
