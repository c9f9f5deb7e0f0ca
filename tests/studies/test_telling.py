"""What a study's page says of who is ahead, and of its intervals."""

from dataclasses import replace

import pytest

from farzi.studies import STUDIES, Done
from farzi.studies.telling import counted


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


def test_what_outer_steps_add_is_told_size_by_size():
    figures = {
        "5 x 10": ((0.10, 0.11, 0.12), (0.20, 0.21, 0.22)),
        "10 x 10": ((0.20, 0.21, 0.22), (0.20, 0.22, 0.21)),
        "10 x 20": ((0.20, 0.21, 0.22), (0.10, 0.11, 0.12)),
        "25 x 20": ((0.20, 0.21, 0.22), (0.30, 0.31, 0.32)),
    }
    rows = [
        replace(row(size, *values), labels={"size": size, "events": 1, "learnt": learnt})
        for size, both in figures.items()
        for learnt, values in zip(("its start alone", "outer steps"), both)
    ]
    said = STUDIES["outer-loop"].tell(rows).conclusion
    assert said.startswith(
        "In HR@10 outer steps add to the start at 5 x 10 (+10.0 ±2.3) and 25 x 20 (+10.0 ±2.3); "
        "they cannot be told from the start at 10 x 10 (+0.0 ±2.3); "
        "they take from the start at 10 x 20 (−10.0 ±2.3)."
    )


@pytest.mark.parametrize(
    ("seeds", "summaries", "silent"),
    [(5, 1, False), (5, 3, True), (1, 1, True)],
    ids=["one", "three", "single"],
)
def test_intervals_say_what_is_not_in_them(seeds: int, summaries: int, silent: bool):
    done = replace(row("full", *[0.1] * seeds), values={"summaries": summaries})
    said = counted([done])
    assert said.startswith(f"Means of {seeds} student")
    assert ("How another distillation differs" not in said) is silent
