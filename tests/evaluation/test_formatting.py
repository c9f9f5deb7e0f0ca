"""How figures are put into words, and the one that training goes by."""

import math

import pytest

from farzi.data import Log
from farzi.evaluation import aligned, evaluate_ranking, kib, percent, shares, task_of
from farzi.recipe import variants as v
from farzi.training import make_model


@pytest.mark.parametrize(
    ("ratio", "text"), [(0.964, "96 %"), (0.0, "0 %"), (1.2, "120 %"), (math.nan, "–"), (None, "–")]
)
def test_a_ratio_is_per_cent_or_a_dash(ratio: float | None, text: str):
    assert percent(ratio) == text


def test_three_ratios_are_shown():
    ratios = {"HR@10": 0.5, "HR@100": None, "nDCG@10": math.nan, "nDCG@100": 0.7}
    assert shares(ratios) == "HR@10 50 %, nDCG@10 –, HR@100 –"


@pytest.mark.parametrize(
    ("size", "text"), [(100, "0.1"), (2000, "2.0"), (85_440, "83"), (2_000_000, "1,953")]
)
def test_a_size_is_in_kib(size: int, text: str):
    assert kib(size) == text


@pytest.mark.parametrize("seen", ["keep", "exclude"])
def test_training_goes_by_ndcg_on_the_validation_events(tiny: Log, seen):
    student = make_model(v.SASRec(hidden=8), 41, 5, 0)
    assert (
        task_of(tiny, seen).score(student, tiny.valid)
        == evaluate_ranking(student, tiny.valid, seen).means()["nDCG@10"]
    )


def test_a_table_is_aligned_and_a_cell_may_have_two_lines():
    text = aligned(["name", "figure"], [["full", "11.7"], ["summary", "9.2\n(79 %)"]])
    assert text.splitlines() == [
        "name     figure",
        "---------------",
        "full       11.7",
        "summary     9.2",
        "         (79 %)",
    ]
