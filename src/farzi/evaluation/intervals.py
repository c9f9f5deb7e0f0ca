"""95 % intervals: over seeds for one figure, over units and seeds for the ratio or difference of two."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95
PERCENTILES = (50 - 50 * LEVEL, 50 + 50 * LEVEL)
PART = 2**24
"""Bootstrap weights in memory at a time: 128 MiB."""

Figure = Callable[[np.ndarray], np.ndarray]
"""From the mean over units to a seed's figure."""


class Interval(NamedTuple):
    """A mean, or a ratio of means, and its 95 % interval."""

    mean: float
    low: float
    high: float


def seed_interval(figures: np.ndarray) -> Interval:
    """Mean over seeds, (seeds,), and its Student's t interval; of no width for a single seed.

    The interval covers the random first weights, for the given users.
    """
    n = len(figures)
    error = np.std(figures, ddof=1) / n**0.5 if n > 1 else 0.0
    return t_interval(float(np.mean(figures)), error, n - 1)


def jackknife_interval(value: float, without: np.ndarray) -> Interval:
    """A statistic of n units and its Student's t interval by the jackknife; of no width if n < 2.

    The standard error is √((n − 1)/n Σ (value without one unit − their mean)²) (Tukey 1958; Efron and Stein,
    The jackknife estimate of variance, 1981).

    Args:
        value: the statistic of all units.
        without: the statistic without each of the units, (n,).
    """
    n = len(without)
    error = ((n - 1) / n * np.square(without - without.mean()).sum()) ** 0.5 if n > 1 else 0.0
    return t_interval(value, error, n - 1)


def t_interval(mean: float, error: float, freedom: float) -> Interval:
    """The Student's t interval of a standard error; of no width if that is 0."""
    if error == 0:
        return Interval(mean, mean, mean)
    # scipy.stats.t has the quantile, too, but takes a second to load
    width = float(stdtrit(freedom, 0.5 + LEVEL / 2) * error)
    return Interval(mean, mean - width, mean + width)


def paired_ratio(
    ours: np.ndarray,
    theirs: np.ndarray,
    figure: Figure = np.asarray,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Ratio of two figures, with a paired bootstrap over units (users, passages) and seeds.

    Both were measured on the same units. Each draw takes units with replacement, the same for both, and
    seeds with replacement, independently for each, and forms the ratio. The interval is somewhat too wide,
    because variance that belongs to neither units nor seeds is counted twice (Owen, The pigeonhole bootstrap,
    2007).

    Args:
        ours: per-unit values, (seeds, units).
        theirs: per-unit values, (seeds', units).
        figure: from the mean over units to a seed's figure; the mean itself if left out.
        draws: bootstrap samples.
        seed: of the draws.

    Returns:
        The ratio with percentiles of the draws; nan if theirs is 0.

    Raises:
        ValueError: the numbers of units differ.
    """
    above, below = _paired_draws(ours, theirs, figure, draws, seed)
    whole = figure(theirs.mean(1)).mean()
    if whole == 0:
        return Interval(np.nan, np.nan, np.nan)
    low, high = np.nanpercentile(above / np.where(below == 0, np.nan, below), PERCENTILES)
    return Interval(float(figure(ours.mean(1)).mean() / whole), float(low), float(high))


def paired_difference(ours: np.ndarray, theirs: np.ndarray, figure: Figure = np.asarray) -> Interval:
    """Difference of two figures, with the bootstrap and the arguments of `paired_ratio`."""
    above, below = _paired_draws(ours, theirs, figure)
    low, high = np.percentile(above - below, PERCENTILES)
    mean = figure(ours.mean(1)).mean() - figure(theirs.mean(1)).mean()
    return Interval(float(mean), float(low), float(high))


def _paired_draws(
    ours: np.ndarray, theirs: np.ndarray, figure: Figure, draws: int = 2000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Both figures in each bootstrap sample, (draws,) each."""
    units = ours.shape[1]
    if units != theirs.shape[1]:
        raise ValueError(f"both must have the same units, got {units} and {theirs.shape[1]}")
    rng = np.random.default_rng(seed)
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
