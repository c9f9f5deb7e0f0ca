"""The comparison on a tiny log: what is trained on what, its rows, and its arithmetic."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from farzi.evaluation.controls import bytes_per_event
from farzi.data import Dataset
from farzi.evaluation import Comparison, Effort, RecommendationTask, compare, seed_interval
from farzi.evaluation.compare import Measured
from farzi.recipe import Recipe
from farzi.summary import Size, SummaryTensors, TransitionInitializer
from farzi.training import EventTraining

KEYS = [
    "trained_on",
    "student",
    "sequences",
    "bytes",
    "metric",
    "unit",
    "mean",
    "low",
    "high",
    "seeds",
    "train_seconds",
    "relative_to_full",
]
KINDS = ["full", "summary", "random", "head", "random, equal bytes", "head, equal bytes"]
METRICS = ["HR@10", "HR@100", "nDCG@10", "nDCG@100", "MRR", "AUC"]
EFFORT = Effort(seeds=2, rates=(1e-2,), training=EventTraining(steps=10, every=5))


@pytest.fixture(scope="module")
def summary(tiny: Dataset) -> SummaryTensors:
    return TransitionInitializer()(Size(6, 5, 4, 41), tiny.train, np.random.default_rng(0))


@pytest.fixture(scope="module")
def comparison(tiny: Dataset, summary: SummaryTensors, recipe: Recipe) -> Comparison:
    return compare(summary, tiny, recipe, effort=EFFORT, distilling=60.0)


def test_rows_have_exactly_the_promised_keys(comparison: Comparison):
    rows = comparison.rows()
    assert [list(row) for row in rows] == [KEYS] * len(rows)
    assert [(row["trained_on"], row["metric"]) for row in rows] == [(k, m) for k in KINDS for m in METRICS]
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


def test_figures_are_per_cent_over_seeds(comparison: Comparison):
    for row in comparison.rows():
        figures = comparison.of(row["trained_on"]).per_unit[row["metric"]]
        assert figures.shape == (2, 60)
        assert (row["mean"], row["low"], row["high"]) == seed_interval(100 * figures.mean(1))
        assert 0 <= row["mean"] <= 100
        assert row["seeds"] == 2
        assert row["student"] == "sasrec"
        assert row["train_seconds"] > 0
        assert row["relative_to_full"] == comparison.relative(row["trained_on"], row["metric"]).mean
        if row["trained_on"] == "full":
            assert row["relative_to_full"] == 1


def test_controls_have_equal_sequences_or_equal_bytes(
    comparison: Comparison, summary: SummaryTensors, tiny: Dataset
):
    size = {entry.trained_on: (entry.sequences, entry.bytes) for entry in comparison.measured}
    assert bytes_per_event(41) == 2
    assert summary.bytes == 4 * (6 * 5 * 4 + 4 * 41)
    assert size["full"] == (60, 2 * len(tiny.train.items))
    assert size["summary"] == (6, summary.bytes)
    assert size["head"] == (6, 2 * 6 * 5)
    assert size["random"][0] == 6
    fit = summary.bytes // (
        2 * 5
    )  # 113 sequences of 5 events; the log has not that many windows of two or more
    windows = sum(sum(1 for end in range(n, 1, -5)) for n in tiny.train.lengths.tolist())
    assert fit > windows
    assert size["head, equal bytes"][0] == size["random, equal bytes"][0] == windows
    assert size["head, equal bytes"][1] <= summary.bytes


@pytest.mark.usefixtures("_generators_untouched")
def test_the_same_call_gives_the_same_figures(
    tiny: Dataset, summary: SummaryTensors, recipe: Recipe, comparison: Comparison
):
    again = compare(summary, tiny, recipe, effort=EFFORT)
    for first, second in zip(comparison.measured, again.measured, strict=True):
        for name, figures in first.per_unit.items():
            assert np.array_equal(figures, second.per_unit[name])
    assert again.break_even is None


def test_the_learning_rate_is_chosen_on_validation_events(
    tiny: Dataset, summary: SummaryTensors, recipe: Recipe
):
    said: list[str] = []
    training = EventTraining(steps=20, every=10)
    effort = Effort(seeds=1, rates=(1e-7, 2e-2), training=training)
    chosen = compare(summary, tiny, recipe, effort=effort, progress=said.append)
    assert chosen.of("full").learning_rate == 2e-2
    assert chosen.of("summary").learning_rate == recipe.inner.learning_rate
    assert said[:3] == ["full: choosing a learning rate", "full: training 1 of 1", "summary: training 1 of 1"]


def test_the_controls_at_equal_bytes_may_be_left_out(tiny: Dataset, summary: SummaryTensors, recipe: Recipe):
    effort = replace(EFFORT, equal_bytes=False)
    few = compare(summary, tiny, recipe, effort=effort)
    assert [entry.trained_on for entry in few.measured] == KINDS[:4]


def test_other_controls_are_trained_where_asked_for(tiny: Dataset, summary: SummaryTensors, recipe: Recipe):
    effort = replace(EFFORT, controls=("herding", "k-centre"))
    found = compare(summary, tiny, recipe, effort=effort)
    names = ["full", "summary", "herding", "k-centre", "herding, equal bytes", "k-centre, equal bytes"]
    assert [entry.trained_on for entry in found.measured] == names
    assert [entry.sequences for entry in found.measured][1:4] == [6, 6, 6]
    none = compare(summary, tiny, recipe, effort=replace(EFFORT, controls=()))
    assert [entry.trained_on for entry in none.measured] == ["full", "summary"]


def made(full: float, summary: float, distilling: float | None) -> Comparison:
    def entry(name: str, seconds: float) -> Measured:
        return Measured(name, 1, 1, seconds, {"HR@10": np.zeros((2, 3))}, 0.1)

    return Comparison(
        "sasrec", RecommendationTask(), 20, (entry("full", full), entry("summary", summary)), distilling
    )


def test_what_the_summary_saves():
    assert made(20.0, 0.5, 390.0).speedup == 40
    assert made(20.0, 0.5, 390.0).break_even == 20
    assert made(20.0, 0.5, None).break_even is None
    assert made(0.5, 0.5, 390.0).break_even is None
    assert made(0.4, 0.5, 390.0).break_even is None


def test_a_full_figure_of_zero_has_no_share():
    assert all(math.isnan(row["relative_to_full"]) for row in made(1.0, 1.0, None).rows())
