"""How far two figures put the rows of a study in the same order, and how certain that order is itself."""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from farzi.evaluation import Interval, seed_interval
from research.studies.conclusions import figures_of, interval_of
from research.studies.rows import Done

ROUNDED = 12
"""Digits by which figures are ordered: the means of the same hits, summed in another order, differ beyond."""


def means(rows: Sequence[Done], figure: str) -> np.ndarray:
    """Of each row the mean of a figure, for ordering the rows by: what rounding parts is a tie, (rows,)."""
    return np.round([interval_of(done, figure).mean for done in rows], ROUNDED)


def kendall(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> float:
    """Kendall's tau-b of two lists of figures; nan where one is constant. What rounding parts is a tie."""
    from scipy.stats import kendalltau  # here: it takes a second to load

    found: Any = kendalltau(np.round(first, ROUNDED), np.round(second, ROUNDED))
    return float(found.statistic)


def rank_correlation(rows: Sequence[Done], one: str, other: str) -> tuple[float, Interval]:
    """Tau of two figures over students: of their means, and its interval over repetitions.

    A repetition's tau is that of single trainings, noise of both in it: it is below that of the means.
    """
    whole = kendall(means(rows, one), means(rows, other))
    seeds = repetitions(rows, one, other)
    known = np.asarray(_taus(rows, one, other, ((k, k) for k in range(seeds))))
    return whole, seed_interval(known) if len(known) else Interval(math.nan, math.nan, math.nan)


def agreement(rows: Sequence[Done], figure: str) -> float:
    """Mean tau of a figure with itself, over all pairs of two repetitions; nan where there is one only.

    What no other figure can be expected to surpass in single trainings: the order is that uncertain itself.
    """
    taus = _taus(rows, figure, figure, itertools.combinations(range(repetitions(rows, figure)), 2))
    return float(np.mean(taus)) if taus else math.nan


def reliability(rows: Sequence[Done], figure: str) -> float:
    """How far the means over repetitions would correlate with those of as many others (Pearson); nan where
    there is one repetition only or one row.

    The intraclass correlation ICC(1, k) of Shrout and Fleiss, Psychological Bulletin 86 (1979): students' own
    variance as a share of that of their means, 0 where their means differ no more than by noise.
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
    """The taus that noise leaves to a figure's means: with as many others, and with what both estimate."""
    known = reliability(rows, figure)
    return tau_of(known), tau_of(math.sqrt(known))


def repetitions(rows: Sequence[Done], *figures: str) -> int:
    """How many repetitions all rows have of these figures."""
    return min((len(done.figures[name]) for done in rows for name in figures), default=0)


def _taus(rows: Sequence[Done], one: str, other: str, pairs: Iterable[tuple[int, int]]) -> list[float]:
    """Tau of one figure's repetition i with another's j, for pairs (i, j), where it is defined."""
    taus = []
    for i, j in pairs:
        both = [(done.figures[one][i], done.figures[other][j]) for done in rows]
        kept = [(a, b) for a, b in both if a is not None and b is not None]
        taus.append(kendall([a for a, _ in kept], [b for _, b in kept]))
    return [tau for tau in taus if not math.isnan(tau)]


def told_apart(rows: Sequence[Done], figure: str, level: float = 0.05) -> list[tuple[int, int]]:
    """Pairs of rows, the better first, whose means of a figure differ by more than their repetitions' noise.

    Welch's t-test, two-sided, at the level; no pairs where a row has one repetition.
    """
    from scipy.stats import ttest_ind_from_stats

    values = [figures_of(done, figure) for done in rows]
    if min(map(len, values), default=0) < 2:
        return []
    moments = np.array([(one.mean(), one.std(ddof=1), len(one)) for one in values])
    first, second = np.triu_indices(len(rows), 1)
    found: Any = ttest_ind_from_stats(*moments[first].T, *moments[second].T, equal_var=False)
    apart = zip(first[found.pvalue < level].tolist(), second[found.pvalue < level].tolist(), strict=True)
    return [(i, j) if moments[i, 0] > moments[j, 0] else (j, i) for i, j in apart]  # nan is below no level


def alike(rows: Sequence[Done], pairs: Sequence[tuple[int, int]], figure: str) -> int:
    """How many of the pairs of rows, the greater first, the means of another figure put in the same order."""
    by = means(rows, figure)
    return sum(by[i] > by[j] for i, j in pairs)
