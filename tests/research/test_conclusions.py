"""Who is ahead is decided by the interval of the difference."""

import pytest

from research.studies import Done
from research.studies.conclusions import difference_of


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
