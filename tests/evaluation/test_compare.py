"""The comparison on a tiny log: what is trained on what, its rows, its arithmetic, and what it prints."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import farzi
from farzi.data import Log, Sequences
from farzi.distillation import Cache, initialise, teach
from farzi.errors import FarziError
from farzi.evaluation import (
    Comparison,
    RecommendationTask,
    Result,
    compare,
    seed_interval,
)
from farzi.evaluation.compare import build_controls
from farzi.evaluation.controls import Head, Labelled, Random, bytes_per_event
from farzi.evaluation.trials import Trials
from farzi.progress import Progress
from farzi.recipe import Custom, Recipe
from farzi.recipe import variants as v
from farzi.summary import Size, Summary, SummaryTensors, TransitionInitializer, distillation_facts
from farzi.training import train_on_summary

KEYS = [
    "trained_on",
    "student",
    "sequences",
    "events",
    "bytes",
    "metric",
    "unit",
    "mean",
    "low",
    "high",
    "seeds",
    "train_seconds",
    "relative_to_full",
    "events_share",
    "bytes_share",
    "seconds_share",
]
COUNTS = ["popularity", "successors", "item-kNN", "EASE"]
KINDS = ["full", "summary", "random", *COUNTS]
"""Without the teachers."""
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


def test_a_log_that_is_too_small_has_no_row_of_equal_bytes(
    comparison: Comparison, tensors: SummaryTensors, tiny: Log
):
    size = {entry.trained_on: (entry.sequences, entry.events, entry.bytes) for entry in comparison.results}
    assert bytes_per_event(41) == 2
    assert tensors.bytes == 4 * (6 * 5 * 4 + 4 * 41)
    assert size["full"] == (60, len(tiny.train.items), 2 * len(tiny.train.items))
    assert size["summary"] == (6, 30, tensors.bytes)
    assert size["random"][0] == 6
    assert 2 * len(tiny.train.items) < tensors.bytes
    assert any('no row "random, equal bytes"' in line for line in comparison.left_out)
    assert any('no row "random, equal bytes"' in line for line in comparison.conclusions())


def test_a_row_of_equal_bytes_has_them(tiny: Log, recipe: Recipe):
    """Windows are shorter than the summary's sequences here, so more of them fit."""
    trials = Trials(tiny, recipe.student, 5, RecommendationTask(), 2, recipe.teach)
    for control in (Random(), Head(), Labelled(keep=3)):
        each = trials.bytes_of(control)
        for size in (60, 155, 301):
            lengths = trials.filler(control, size)(7).lengths
            assert each(lengths).sum() <= size < each(lengths).sum() + each(np.array([5]))[0]
    few = trials.filler(Random(), 1)(7)
    assert len(few) == 1


def test_shares_of_the_full_datas_size(comparison: Comparison):
    full, random = comparison.result("full"), comparison.result("random")
    row = next(row for row in comparison.rows() if row["trained_on"] == "random")
    assert row["events_share"] == random.events / full.events
    assert row["bytes_share"] == random.bytes / full.bytes
    assert row["seconds_share"] == random.seconds / full.seconds


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
    assert [part.partition(": learning rate ")[2] for part in parts[:2]] == ["1e-07", "0.02"]
    assert parts[2:5] == ["full: training 1 of 2", "full: training 2 of 2", "summary: training 1 of 2"]
    for k, line in enumerate(progress.parts, 1):
        assert f"({k} of {len(parts)} trainings" in line
    assert "left" in progress.lines[0]


def test_other_controls_are_trained_where_asked_for(tiny: Log, summary: Summary):
    chosen = summary.recipe.changed({"compare.controls": ("herding", "k-centre")})
    results = compare(summary, tiny, chosen).results
    assert [entry.trained_on for entry in results] == ["full", "summary", "herding", "k-centre", *COUNTS]
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
    variants = (v.RandomControl(), Custom.of(Firsts), Custom.of(Firsts(skip=2)), v.LabelledControl(keep=2))
    controls = build_controls(variants)
    assert list(controls) == ["random", "Firsts", "Firsts 2", "random, teachers' labels"]
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
        return Result(name, 1, 1, 1, 1.0, {"HR@10": base + shift, "perplexity": base + shift}, 0.1)

    results = entry("full", 0.2), entry("summary", 0.0), entry("random", -0.3), entry("head", 0.001)
    comparison = Comparison("sasrec", RecommendationTask(), 20, 40, results)
    assert [comparison.lead(name, "HR@10") for name in ("full", "random", "head")] == [-1, 1, 0]
    assert [comparison.lead(name, "perplexity") for name in ("full", "random", "head")] == [1, -1, 0]
    chief, rest = (
        line for line in comparison.conclusions() if line.startswith(("The summary is", "Of the other"))
    )
    assert 'ahead of "full" (perplexity); behind "full" (HR@10)' in chief
    assert 'ahead of "random" (HR@10)' in rest
    assert 'not clearly different from "head"' in rest


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
        return Result(name, 1, 1, 1, seconds, {"HR@10": np.zeros((2, 3))}, 0.1)

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


@pytest.fixture(scope="module")
def taught(tiny: Log, recipe: Recipe) -> Recipe:
    """A recipe with two teachers, compared quickly with all rows."""
    return recipe.changed(
        {
            **QUICK,
            "summary.parametrization.label_decoder": True,
            "init": {"type": "teacher", "teachers": 2},
            "outer.steps": 4,
            "outer.probe": None,
            "select.every": 2,
            "compare.controls": ({"type": "labelled", "keep": 2}, "random"),
            "compare.references": ("initial", "teachers", "full-labels"),
        }
    )


@pytest.fixture(scope="module")
def distilled(cyclic_log: Log, taught: Recipe) -> Summary:
    quiet = farzi.distill(cyclic_log, taught, progress=Progress())
    return replace(quiet, history=[*quiet.history, {"outer_step": 4, "best": True}])  # as if it had gained


TAUGHT = [
    *("full", "summary", "initial summary", "random, teachers' labels", "random"),
    *("random, teachers' labels, equal bytes", "full, teachers' labels", "teachers", "teachers' ensemble"),
    *COUNTS,
]


def test_an_interrupted_comparison_resumes_at_its_next_training(
    cyclic_log: Log, distilled: Summary, tmp_path: Path
):
    class Interrupting(Recorded):
        def doing(self, text: str) -> None:
            if text.startswith("random: training 2"):
                raise KeyboardInterrupt
            super().doing(text)

    first, second = Interrupting(), Recorded()
    with pytest.raises(KeyboardInterrupt, match="the same call resumes"):
        farzi.compare(distilled, cyclic_log, progress=first, cache=Cache(tmp_path / "kept"))
    resumed = farzi.compare(distilled, cyclic_log, progress=second, cache=Cache(tmp_path / "kept"))
    assert [result.trained_on for result in resumed.results] == TAUGHT
    parts = [[line.partition(" (")[0] for line in progress.parts] for progress in (first, second)]
    assert not set(parts[0]) & set(parts[1])
    assert second.parts[0].startswith("random: training 2 of 2 (10 of ")
    whole = farzi.compare(distilled, cyclic_log, progress=Progress())
    for ours, theirs in zip(resumed.results, whole.results, strict=True):
        for name, figures in ours.per_unit.items():
            assert np.array_equal(figures, theirs.per_unit[name]), ours.trained_on
    Cache(tmp_path / "kept").remove()
    assert not (tmp_path / "kept").exists()


def test_teachers_and_the_initial_summary_are_those_of_the_distillation(
    cyclic_log: Log, distilled: Summary, taught: Recipe
):
    """With no outer step, the distillation's summary is the initial one: the same bits are made again."""
    initial = farzi.distill(cyclic_log, taught.changed({"outer.steps": 0}), progress=Progress())
    full_data = teach(distilled.recipe, cyclic_log)
    again = initialise(distilled.recipe, cyclic_log, full_data.teachers)
    again = again.rounded(distilled.tensors.precision)
    assert all(torch.equal(part, again.parts[name]) for name, part in initial.tensors.parts.items())
    comparison = farzi.compare(distilled, cyclic_log, progress=Progress())
    figures = comparison.result("teachers").per_unit["HR@10"]
    assert figures.shape == (2, 60)
    own = [farzi.evaluate(model, cyclic_log)["HR@10"] for model in full_data.teachers]
    assert comparison.result("teachers").figures("HR@10").tolist() == pytest.approx(own)
    start = [
        farzi.evaluate(train_on_summary(again, taught.student, taught.inner, seed).model, cyclic_log)["AUC"]
        for seed in (1000, 1001)
    ]
    assert comparison.result("initial summary").figures("AUC").tolist() == pytest.approx(start)
    not_again = farzi.compare(initial, cyclic_log, progress=Progress())
    assert "initial summary" not in [result.trained_on for result in not_again.results]
    assert any("no outer step was kept" in line for line in not_again.left_out)
