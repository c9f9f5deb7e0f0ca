"""What the headline says of who is ahead."""

import pytest

from farzi.studies import STUDIES, Done


def row(name: str, *figures: float) -> Done:
    return Done(name, {"trained on": name}, {"HR@10": list(figures)}, 1.0, "c", {}, {})


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ((0.10, 0.12, 0.11), "it is ahead of the best of the others, table (11.0 ±2.5): +4.0 ±"),
        ((0.14, 0.16, 0.15), "it cannot be told from the best of the others, table (15.0 ±2.5): +0.0 ±"),
        ((0.19, 0.21, 0.20), "it is behind the best of the others, table (20.0 ±2.5): −5.0 ±"),
        ((0.11,), "it is to be held against the best of the others, table (11.0)."),
    ],
)
def test_who_is_ahead_is_told_by_the_interval_of_the_difference(theirs: tuple[float, ...], said: str):
    rows = [
        row("full", 0.1, 0.1),
        row("random", 0.01, 0.02),
        row("farzi", 0.14, 0.16, 0.15),
        row("table", *theirs),
    ]
    assert f"In HR@10 {said}" in STUDIES["headline"].tell(rows).conclusion
