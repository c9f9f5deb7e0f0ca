"""The registry: what each figure is, which way is better, how it reads; figures put into words."""

import math

import numpy as np
import pytest

from farzi.evaluation import METRICS, aligned, headlines, kib, metric_of, paired_ratio, shares


def test_shares_are_per_cent_and_costs_as_they_are():
    hits, cost = metric_of("accuracy"), metric_of("perplexity")
    assert (hits.text(0.263), hits.unit, hits.ratio(0.9)) == ("26.3", "%", "90 %")
    assert (cost.text(64.04), cost.unit, cost.ratio(1.3)) == ("64.0", "", "× 1.30")
    assert (cost.text(4.567), cost.text(12345.6)) == ("4.57", "12,346")
    assert cost.ratio(None) == cost.ratio(math.nan) == hits.ratio(None) == "–"


def test_a_lower_cost_is_a_gain():
    assert metric_of("perplexity").gain(1.25) == metric_of("bits per byte").gain(1.25) == 0.8
    assert metric_of("HR@100").gain(1.25) == 1.25
    assert metric_of("perplexity").gain(math.inf) == 0


def test_a_name_that_is_not_registered_is_a_share():
    assert metric_of("HR@20").text(0.5) == "50.0"
    assert not metric_of("HR@20").headline


def test_each_kind_has_its_headlines():
    assert headlines(["accuracy", "bits per byte", "perplexity"]) == ("perplexity", "accuracy")
    assert headlines(METRICS) == ("HR@10", "nDCG@10", "HR@100", "perplexity", "accuracy")
    assert (
        shares({"accuracy": 0.9, "perplexity": 1.3, "bits per byte": 2.0})
        == "perplexity × 1.30, accuracy 90 %"
    )


def test_the_ratio_of_perplexities_has_its_interval():
    rng = np.random.default_rng(0)
    hard = rng.gamma(4.0, 1.0, size=300)  # nats a token, passage by passage
    theirs = hard + 0.01 * rng.standard_normal((3, 300))
    ours = theirs + math.log(1.25)
    figure = metric_of("perplexity").figure
    mean, low, high = paired_ratio(ours, theirs, figure=figure)
    assert mean == pytest.approx(1.25)
    assert 1.24 < low <= 1.25 <= high < 1.26  # what makes a passage hard is shared
    assert figure(theirs.mean(1)).mean() == pytest.approx(np.exp(theirs.mean(1)).mean())


@pytest.mark.parametrize(
    ("ratio", "text"), [(0.964, "96 %"), (0.0, "0 %"), (1.2, "120 %"), (math.nan, "–"), (None, "–")]
)
def test_a_ratio_is_per_cent_or_a_dash(ratio: float | None, text: str):
    assert metric_of("HR@10").ratio(ratio) == text


def test_three_ratios_are_shown():
    ratios = {"HR@10": 0.5, "HR@100": None, "nDCG@10": math.nan, "nDCG@100": 0.7}
    assert shares(ratios) == "HR@10 50 %, nDCG@10 –, HR@100 –"


@pytest.mark.parametrize(
    ("size", "text"), [(100, "0.1"), (2000, "2.0"), (85_440, "83"), (2_000_000, "1,953")]
)
def test_a_size_is_in_kib(size: int, text: str):
    assert kib(size) == text


def test_a_table_is_aligned_and_a_cell_may_have_two_lines():
    text = aligned(["name", "figure"], [["full", "11.7"], ["summary", "9.2\n(79 %)"]])
    assert text.splitlines() == [
        "name     figure",
        "---------------",
        "full       11.7",
        "summary     9.2",
        "         (79 %)",
    ]
