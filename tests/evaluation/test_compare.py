"""The comparison on a tiny log: what is trained on what, its rows, its arithmetic, and what it prints."""

import json
import math
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest

from farzi.data import Log, Sequences
from farzi.errors import FarziError
from farzi.evaluation import (
    Comparison,
    RecommendationTask,
    Result,
    compare,
    seed_interval,
)
from farzi.evaluation.compare import build_controls
from farzi.evaluation.controls import bytes_per_event
from farzi.progress import Progress
from farzi.recipe import Custom, Recipe
from farzi.recipe import variants as v
from farzi.summary import Size, Summary, SummaryTensors, TransitionInitializer, distillation_facts

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
COUNTS = ["popularity", "successors"]
KINDS = ["full", "summary", "random", "head", "random, equal bytes", "head, equal bytes", *COUNTS]
METRICS = ["HR@10", "HR@100", "nDCG@10", "nDCG@100", "MRR", "AUC"]
QUICK = {"compare.seeds": 2, "teach.grid.learning_rate": (1e-2,)}


@pytest.fixture(scope="module")
def tensors(tiny: Log) -> SummaryTensors:
    return TransitionInitializer()(Size(6, 5, 4, 41), tiny.train, np.random.default_rng(0))


@pytest.fixture(scope="module")
def summary(tiny: Log, tensors: SummaryTensors, recipe: Recipe) -> Summary:
    history = [
        {"outer_step": 0, "best": True},
        {"outer_step": 3, "best": True},
        {"outer_step": 6, "best": False},
    ]
    run = {"seconds": 60.0, "outer_steps": 8}
    return Summary(tensors, tiny.vocabulary, recipe.changed(QUICK), history, run)


@pytest.fixture(scope="module")
def comparison(tiny: Log, summary: Summary) -> Comparison:
    return compare(summary, tiny)


def test_rows_have_exactly_the_promised_keys(comparison: Comparison):
    rows = comparison.rows()
    assert [list(row) for row in rows] == [KEYS] * len(rows)
    assert [(row["trained_on"], row["metric"]) for row in rows] == [(k, m) for k in KINDS for m in METRICS]
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


def test_figures_are_per_cent_over_seeds(comparison: Comparison):
    for row in comparison.rows():
        figures = comparison.result(row["trained_on"]).per_unit[row["metric"]]
        seeds = 1 if row["trained_on"] in COUNTS else 2
        assert figures.shape == (seeds, 60)
        assert (row["mean"], row["low"], row["high"]) == seed_interval(100 * figures.mean(1))
        assert 0 <= row["mean"] <= 100
        assert row["seeds"] == seeds
        assert row["student"] == "sasrec"
        assert row["train_seconds"] > 0
        assert row["relative_to_full"] == comparison.relative(row["trained_on"], row["metric"]).mean
        if row["trained_on"] == "full":
            assert row["relative_to_full"] == 1


def test_controls_have_equal_sequences_or_equal_bytes(
    comparison: Comparison, tensors: SummaryTensors, tiny: Log
):
    size = {entry.trained_on: (entry.sequences, entry.bytes) for entry in comparison.results}
    assert bytes_per_event(41) == 2
    assert tensors.bytes == 4 * (6 * 5 * 4 + 4 * 41)
    assert size["full"] == (60, 2 * len(tiny.train.items))
    assert size["summary"] == (6, tensors.bytes)
    assert size["head"] == (6, 2 * 6 * 5)
    assert size["random"][0] == 6
    fit = tensors.bytes // (
        2 * 5
    )  # 113 sequences of 5 events; the log has not that many windows of two or more
    windows = sum(sum(1 for end in range(n, 1, -5)) for n in tiny.train.lengths.tolist())
    assert fit > windows
    assert size["head, equal bytes"][0] == size["random, equal bytes"][0] == windows
    assert size["head, equal bytes"][1] <= tensors.bytes


@pytest.mark.usefixtures("_generators_untouched")
def test_the_same_call_gives_the_same_figures(tiny: Log, summary: Summary, comparison: Comparison):
    again = compare(summary, tiny)
    for first, second in zip(comparison.results, again.results, strict=True):
        for name, figures in first.per_unit.items():
            assert np.array_equal(figures, second.per_unit[name])


class Recorded(Progress):
    """Records what is being done, and how far it is."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.lines: list[str] = []

    def doing(self, text: str) -> None:
        self.parts.append(text)

    def passing(self, text: str) -> None:
        self.lines.append(text)


def test_the_learning_rate_is_chosen_on_validation_events(tiny: Log, summary: Summary):
    progress = Recorded()
    recipe = summary.recipe.changed(
        {
            "teach.max_steps": 20,
            "teach.validate_every": 10,
            "teach.grid.learning_rate": (1e-7, 2e-2),
            "compare.seeds": 2,
        }
    )
    chosen = compare(summary, tiny, recipe, progress=progress)
    assert chosen.result("full").learning_rate == 2e-2
    assert chosen.result("summary").learning_rate == 0.02
    parts = [line.partition(" (")[0] for line in progress.parts]
    rates = [f"full: choosing a learning rate, {k} of 2" for k in (1, 2)]
    assert parts[:5] == [*rates, "full: training 1 of 2", "full: training 2 of 2", "summary: training 1 of 2"]
    for k, line in enumerate(progress.parts, 1):
        assert f"({k} of {len(parts)} trainings" in line
    assert "left" in progress.lines[0]


def test_the_controls_at_equal_bytes_may_be_left_out(tiny: Log, summary: Summary):
    few = compare(summary, tiny, summary.recipe.changed({"compare.equal_bytes": False}))
    assert [entry.trained_on for entry in few.results] == [*KINDS[:4], *COUNTS]


def test_other_controls_are_trained_where_asked_for(tiny: Log, summary: Summary):
    chosen = summary.recipe.changed({"compare.controls": ("herding", "k-centre")})
    names = [
        "full",
        "summary",
        "herding",
        "k-centre",
        "herding, equal bytes",
        "k-centre, equal bytes",
        *COUNTS,
    ]
    results = compare(summary, tiny, chosen).results
    assert [entry.trained_on for entry in results] == names
    assert [entry.sequences for entry in results][1:4] == [6, 6, 6]
    none = compare(summary, tiny, summary.recipe.changed({"compare.controls": ()}))
    assert [entry.trained_on for entry in none.results] == ["full", "summary", *COUNTS]


@dataclass(frozen=True)
class Firsts:
    """The first sequences; counts how often it is built."""

    skip: int = 0

    def __call__(self, log: Sequences, length: int, count: int, rng: np.random.Generator) -> Sequences:
        return log.select(np.arange(self.skip, self.skip + count))


def test_controls_of_a_users_class_have_its_name():
    variants = (v.RandomControl(), Custom.of(Firsts), Custom.of(Firsts(skip=2)))
    controls = build_controls(variants)
    assert list(controls) == ["random", "Firsts", "Firsts 2"]
    assert controls["Firsts 2"] == Firsts(skip=2)


def test_counts_take_no_training(comparison: Comparison):
    cells = dict(zip(KINDS, comparison.table()[1], strict=True))
    assert "±" in cells["random"][3]
    assert "±" not in cells["popularity"][3]
    assert comparison.share("successors", "HR@10") > comparison.share("popularity", "HR@10")
    assert any("Student's t, 1 degree of freedom" in line for line in comparison.conclusions())


def test_data_with_other_items_are_refused(make_dataset, summary: Summary):
    with pytest.raises(FarziError, match="its items are not those of the summary"):
        compare(summary, make_dataset([[1, 2, 3, 4], [2, 3, 4, 1]], 4))


def test_a_comparison_is_a_frame_and_a_text(comparison: Comparison):
    frame = comparison.to_frame()
    assert isinstance(frame, pl.DataFrame)
    assert frame.rows(named=True) == comparison.rows()
    text = str(comparison)
    assert text == repr(comparison)
    for line, kind in zip((line for line in text.splitlines()[2:] if not line.startswith(" ")), KINDS):
        assert line.startswith(kind)
    assert "paid for" in text


def test_the_summary_is_ahead_only_where_the_interval_is_clear_of_zero():
    rng = np.random.default_rng(0)
    base = rng.random((3, 200))

    def entry(name: str, shift: float) -> Result:
        return Result(name, 1, 1, 1.0, {"HR@10": base + shift, "perplexity": base + shift}, 0.1)

    results = entry("full", 0.2), entry("summary", 0.0), entry("random", -0.3), entry("head", 0.001)
    comparison = Comparison("sasrec", RecommendationTask(), 20, 40, results)
    assert [comparison.lead(name, "HR@10") for name in ("full", "random", "head")] == [-1, 1, 0]
    assert [comparison.lead(name, "perplexity") for name in ("full", "random", "head")] == [1, -1, 0]
    sentence = next(line for line in comparison.conclusions() if line.startswith("The summary is"))
    assert 'ahead of "full" (perplexity) and "random" (HR@10' in sentence
    assert 'not clearly different from "head"' in sentence


def test_how_the_summary_was_made_is_said(summary: Summary, tiny: Log):
    assert "without teachers" in distillation_facts(summary)
    assert "8 outer steps were taken (data distillation); the state after step 3 was selected" in (
        distillation_facts(summary)
    )
    taught = summary.recipe.changed({"init": {"type": "teacher", "teachers": 3, "others": ["gru4rec"]}})
    start = Summary(summary.tensors, tiny.vocabulary, taught, summary.history[:1], summary.run)
    assert "predictions of 4 full-data models (knowledge distillation)" in distillation_facts(start)
    assert "the initial summary was selected" in distillation_facts(start)
    stopped = replace(start, run={**summary.run, "stages": {"refine": {"stopped_by_probe": True}}})
    assert "before the run stopped for lack of gain" in distillation_facts(stopped)


def made(full: float, summary: float, distilling: float | None) -> Comparison:
    def entry(name: str, seconds: float) -> Result:
        return Result(name, 1, 1, seconds, {"HR@10": np.zeros((2, 3))}, 0.1)

    results = entry("full", full), entry("summary", summary)
    return Comparison("sasrec", RecommendationTask(), 20, 40, results, distilling)


def test_what_the_summary_saves():
    assert made(20.0, 0.5, 390.0).speedup == 40
    assert made(20.0, 0.5, 390.0).break_even == 20
    assert made(20.0, 0.5, None).break_even is None
    assert made(0.5, 0.5, 390.0).break_even is None
    assert made(0.4, 0.5, 390.0).break_even is None


def test_a_full_figure_of_zero_has_no_share():
    assert all(math.isnan(row["relative_to_full"]) for row in made(1.0, 1.0, None).rows())
