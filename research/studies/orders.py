"""How far two figures rank the rows of a study in the same order, and how certain that order is."""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from farzi.evaluation import Interval, seed_interval
from research.studies.conclusions import figures_of, interval_of
from research.studies.rows import Done

ROUNDED = 12
"""Digits by which figures are ranked; beyond them sums of the same hits in another order differ."""


def means(rows: Sequence[Done], figure: str) -> np.ndarray:
    """The mean of a figure for each row, rounded so that rounding errors make ties, (rows,)."""
    return np.round([interval_of(done, figure).mean for done in rows], ROUNDED)


def kendall(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> float:
    """Kendall's tau-b of two lists of figures, rounded; nan if one is constant."""
    from scipy.stats import kendalltau  # here: it takes a second to load

    result: Any = kendalltau(np.round(first, ROUNDED), np.round(second, ROUNDED))
    return float(result.statistic)


def rank_correlation(rows: Sequence[Done], one: str, other: str) -> tuple[float, Interval]:
    """Tau of two figures over students: of their means, and its interval over repetitions.

    A repetition's tau is that of single trainings. Their noise makes it lower than that of the means.
    """
    whole = kendall(means(rows, one), means(rows, other))
    seeds = repetitions(rows, one, other)
    known = np.asarray(_taus(rows, one, other, ((k, k) for k in range(seeds))))
    return whole, seed_interval(known) if len(known) else Interval(math.nan, math.nan, math.nan)


def agreement(rows: Sequence[Done], figure: str) -> float:
    """Mean tau of a figure with itself over all pairs of repetitions; nan if there is one only.

    An upper bound for what another figure can reach in single trainings.
    """
    taus = _taus(rows, figure, figure, itertools.combinations(range(repetitions(rows, figure)), 2))
    return float(np.mean(taus)) if taus else math.nan


def reliability(rows: Sequence[Done], figure: str) -> float:
    """The expected Pearson correlation of the means with those of the same number of further repetitions; nan
    if there is one repetition or one row only.

    The intraclass correlation ICC(1, k) of Shrout and Fleiss, Psychological Bulletin 86 (1979): students' own
    variance as a share of that of their means, 0 if their means differ by noise only.
    """
    values = [figures_of(done, figure) for done in rows]
    if len(values) < 2 or min(map(len, values)) < 2:
        return math.nan
    noise = float(np.mean([one.var(ddof=1) / len(one) for one in values]))
    spread = float(np.var([one.mean() for one in values], ddof=1))
    return max(0.0, 1 - noise / spread) if spread > 0 else math.nan


def tau_of(correlation: float) -> float:
    """Kendall's tau of two normal figures with a Pearson correlation (Greiner's relation): 2/π arcsin r."""
    return 2 / math.pi * math.asin(correlation)


def ceilings(rows: Sequence[Done], figure: str) -> tuple[float, float]:
    """The highest taus that noise allows: with the means of further repetitions, and with the true values."""
    known = reliability(rows, figure)
    return tau_of(known), tau_of(math.sqrt(known))


def repetitions(rows: Sequence[Done], *figures: str) -> int:
    """The number of repetitions that all rows have of these figures."""
    return min((len(done.figures[name]) for done in rows for name in figures), default=0)


def _taus(rows: Sequence[Done], one: str, other: str, pairs: Iterable[tuple[int, int]]) -> list[float]:
    """Tau of one figure's repetition i with another's j, for pairs (i, j), where it is defined."""
    taus = []
    for i, j in pairs:
        both = [(done.figures[one][i], done.figures[other][j]) for done in rows]
        known = [(a, b) for a, b in both if a is not None and b is not None]
        taus.append(kendall([a for a, _ in known], [b for _, b in known]))
    return [tau for tau in taus if not math.isnan(tau)]


def distinct_pairs(rows: Sequence[Done], figure: str, level: float = 0.05) -> list[tuple[int, int]]:
    """Pairs of rows, the better first, whose means of a figure differ significantly.

    Welch's t-test, two-sided, at the level; no pairs if a row has one repetition.
    """
    from scipy.stats import ttest_ind_from_stats

    values = [figures_of(done, figure) for done in rows]
    if min(map(len, values), default=0) < 2:
        return []
    moments = np.array([(one.mean(), one.std(ddof=1), len(one)) for one in values])
    first, second = np.triu_indices(len(rows), 1)
    result: Any = ttest_ind_from_stats(*moments[first].T, *moments[second].T, equal_var=False)
    distinct = zip(first[result.pvalue < level].tolist(), second[result.pvalue < level].tolist(), strict=True)
    return [(i, j) if moments[i, 0] > moments[j, 0] else (j, i) for i, j in distinct]  # nan is below no level


def same_order(rows: Sequence[Done], pairs: Sequence[tuple[int, int]], figure: str) -> int:
    """How many of the pairs of rows have the same order by the means of another figure."""
    by = means(rows, figure)
    return sum(by[i] > by[j] for i, j in pairs)
