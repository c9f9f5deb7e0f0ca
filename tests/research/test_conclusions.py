"""Who is ahead is decided by the interval of the difference."""

import numpy as np
import pytest
from scipy import stats

from research.studies import Done
from research.studies.conclusions import difference_interval, difference_of


def row(name: str, *figures: float) -> Done:
    return Done(name, {"trained on": name}, {"HR@10": list(figures)}, 1.0, "c", {}, {})


@pytest.mark.parametrize(
    ("theirs", "verdict"),
    [
        ((0.10, 0.12, 0.11), "is ahead of"),
        ((0.14, 0.16, 0.15), "does not differ clearly from"),
        ((0.19, 0.21, 0.20), "is behind"),
    ],
)
def test_the_interval_of_the_difference_decides_who_is_ahead(theirs: tuple[float, ...], verdict: str):
    difference = difference_of(row("farzi", 0.14, 0.16, 0.15), row("table", *theirs), "HR@10")
    assert difference is not None
    assert difference.verdict == verdict


def test_one_repetition_has_no_interval():
    assert difference_of(row("farzi", 0.14, 0.16), row("table", 0.11), "HR@10") is None


def test_the_interval_of_a_difference_is_welchs():
    ours, theirs = np.array([12.6, 12.1, 13.4, 11.9, 13.0]), np.array([10.9, 11.8, 10.2])
    mean, low, high = difference_interval(ours, theirs)
    expected = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert mean == pytest.approx(ours.mean() - theirs.mean())
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert difference_interval(np.full(3, 2.0), np.full(2, 0.5)) == (1.5, 1.5, 1.5)
