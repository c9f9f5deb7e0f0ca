"""Whole runs: what they learn, what they report, what they refuse, and how they end."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from farzi.data import Holdout, Log, pad_left
from farzi.distillation import Cache, Validation, distill, initialise, validate
from farzi.distillation.plan import warn_of_minutes
from farzi.errors import FarziError
from farzi.recipe import Inner, Outer, Recipe, Select, SummaryShape, Teach
from farzi.recipe import variants as v
from farzi.summary import RandomInitializer, Size, Summary, SummaryTensors, distillation_facts
from farzi.training import NextEvent, train_on_summary

from .recorded import Recorded

JUDGED = ("nDCG@100", "HR@100")
METRICS = ("HR@10", "HR@100", "nDCG@10", "nDCG@100", "MRR", "AUC")

MakeDataset = Callable[[list[list[int]], int], Log]


def refusal(recipe: Recipe, out: Path, dataset: Log) -> str:
    with pytest.raises(FarziError) as caught:
        distill(recipe, out, dataset=dataset)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_run_learns_what_comes_next(make_dataset: MakeDataset, tmp_path: Path):
    rng = np.random.default_rng(0)
    rows = [[(begin + k) % 20 + 1 for k in range(length)] for begin, length in rng.integers(4, 15, (60, 2))]
    ring = make_dataset(rows, 20)  # what comes next is the next item, around a ring of 20
    recipe = Recipe(
        student=v.SASRec(hidden=16),
        teach=Teach(max_steps=10, validate_every=5),
        summary=SummaryShape(sequences=8, length=6, parametrization=v.LowRank(dim=6, label_decoder=False)),
        init=v.RandomInit(),
        inner=Inner(optimizer=v.Adam(learning_rate=0.03), cooldown=0.0, steps=15, batch=None),
        outer=Outer(steps=30, batch=32, learning_rate=0.2, window=5, burn_in=4, pool=2),
        select=Select(every=15, students=1),
    )
    folder = distill(recipe, tmp_path, dataset=ring)
    windows = torch.from_numpy(pad_left(ring.test.histories, 6))

    def real_loss(summary: SummaryTensors) -> float:
        """Of students with weights that the distillation has not used."""
        students = [train_on_summary(summary, recipe.student, recipe.inner, seed).model for seed in (7, 8)]
        with torch.no_grad():
            return float(np.mean([float(NextEvent(student)(windows)) for student in students]))

    start = RandomInitializer()(Size(8, 6, 6, 21), ring.train, np.random.default_rng([0, 0]))
    assert real_loss(start) > 2.9  # ln 20 is 3.0
    assert real_loss(folder.tensors) < 2.6
    losses = [line["real_loss"] for line in folder.history[1:]]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.usefixtures("_generators_untouched")
def test_progress_and_history_are_the_same(tiny: Log, recipe: Recipe, tmp_path: Path):
    progress = Recorded()
    folder = distill(recipe, tmp_path, dataset=tiny, progress=progress)
    assert [number for number, _, _ in progress.steps] == list(range(1, 9))
    assert [fraction for _, fraction, _ in progress.steps] == [k / 8 for k in range(1, 9)]
    assert [line["outer_step"] for line in folder.history] == [0, 3, 6, 8]
    assert [number for number, _, _ in progress.validations] == [0, 3, 6, 8]
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == folder.history
    assert folder.history[0]["real_loss"] is None
    assert folder.history[0]["metagradient_norm"] is None
    for line, (_, result, best), steps in zip(
        folder.history, progress.validations, (0, 3, 3, 2), strict=True
    ):
        met = [
            report
            for number, _, report in progress.steps
            if line["outer_step"] - steps < number <= line["outer_step"]
        ]
        assert len(met) == steps
        assert line["validation"] == result.figures
        assert line["relative_to_full"] == result.relative
        assert line["best"] == best
        assert line["steps_without_metagradient"] == 0
        if met:
            norms = sorted(report.norm for report in met)
            assert line["real_loss"] == pytest.approx(np.mean([report.loss for report in met]))
            assert line["metagradient_norm"]["min"] == norms[0]
            assert line["metagradient_norm"]["median"] == pytest.approx(np.median(norms))
            assert line["metagradient_norm"]["max"] == norms[-1]
    assert folder.run["outer_steps"] == 8
    assert folder.run["seconds"] > 0
    assert set(folder.run["validation_full"]) == set(folder.history[0]["validation"])


def test_the_best_summary_is_selected(tiny: Log, recipe: Recipe, tmp_path: Path):
    # steps this large make each summary worse than the first
    folder = distill(recipe.changed({"outer.learning_rate": 300.0}), tmp_path, dataset=tiny)
    scores = [np.mean([line["relative_to_full"][name] for name in JUDGED]) for line in folder.history]
    best = [line for line in folder.history if line["best"]][-1]
    assert scores[folder.history.index(best)] == max(scores)
    again = validate(folder.tensors, tiny, recipe, folder.run["validation_full"])
    assert again.figures == best["validation"]


def scored(score: float, noise: np.ndarray) -> Validation:
    """A validation of that score, to which each unit adds its noise less the mean noise."""
    relative = {"HR@100": score}
    return Validation(relative, relative, score - (noise - noise.mean()) / (len(noise) - 1))


def test_a_summary_replaces_the_initial_one_where_it_is_clearly_better(
    tiny: Log, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rng = np.random.default_rng(0)
    noise, more = rng.normal(size=(2, 400))  # standard errors of 0.05
    validations = [
        scored(1.0, 0 * noise),
        scored(1.08, noise),  # better by less than the interval's 0.1
        scored(1.12, noise),  # by more
        scored(1.11, 0 * noise),  # clearly better than the first, but not the best
    ]
    monkeypatch.setattr("farzi.distillation.run.validate", lambda *_: validations.pop(0))
    folder = distill(recipe, tmp_path, dataset=tiny)
    assert [line["best"] for line in folder.history] == [True, False, True, False]
    shared = scored(1.0, noise + 0.5 * more)  # noise that both have is no doubt
    assert scored(1.08, noise + more).clearly_better(shared)


def test_the_score_without_a_user_is_that_of_the_other_users(tiny: Log, recipe: Recipe):
    summary = RandomInitializer()(Size(6, 5, 4, 41), tiny.train, np.random.default_rng(0))
    full = {name: 0.5 for name in METRICS}
    result = validate(summary, tiny, recipe, full)
    assert result.leave_one_out.shape == (len(tiny.valid),)
    for user in (0, 7, len(tiny.valid) - 1):
        others = np.delete(np.arange(len(tiny.valid)), user)
        held = Holdout(tiny.valid.histories.select(others), tiny.valid.targets.select(others))
        fewer = validate(summary, replace(tiny, valid=held), recipe, full)
        assert result.leave_one_out[user] == pytest.approx(fewer.score)


def test_minutes_end_a_run(tiny: Log, recipe: Recipe, tmp_path: Path):
    progress = Recorded()
    folder = distill(
        recipe.changed({"outer.minutes": 0.01, "outer.steps": 1}), tmp_path, dataset=tiny, progress=progress
    )
    assert folder.run["seconds"] >= 0.6
    # on a slow machine the minutes may be over before the first step
    assert folder.run["outer_steps"] == len(progress.steps)
    assert folder.history[-1]["outer_step"] == len(progress.steps)


def test_minutes_that_hold_no_outer_step_are_named_before_and_after(
    tiny: Log, recipe: Recipe, tmp_path: Path
):
    progress = Recorded()
    short = recipe.changed({"outer.minutes": 1e-6, "outer.steps": 1})
    summary = distill(short, tmp_path, dataset=tiny, progress=progress)
    assert len(progress.warnings) == 1
    assert "of the 1e-06 minutes, so that no outer step will be taken" in progress.warnings[0]
    assert "The 1e-06 minutes were over before the first outer step" in distillation_facts(summary)
    assert (summary.run["outer_steps"], summary.selected_step) == (0, 0)
    unhurried = recipe.changed({"outer.minutes": 60.0, "outer.steps": 1})
    warn_of_minutes(unhurried, tiny, Cache(), progress, "cpu")
    assert len(progress.warnings) == 1


@pytest.mark.parametrize("optimizer", [v.Adam(learning_rate=1e20), v.SGD(learning_rate=1e20)])
def test_inner_training_that_diverges_ends_the_run_with_a_clear_line(
    tiny: Log, recipe: Recipe, tmp_path: Path, optimizer: Any
):
    recipe = recipe.changed({"inner.optimizer": optimizer, "outer.steps": 50})
    line = refusal(recipe, tmp_path, tiny)
    assert line.startswith("no finite metagradient for 10 outer steps")
    assert "lower inner.optimizer.learning_rate" in line
    assert not (tmp_path / "summary.safetensors").exists()


def test_steps_without_a_metagradient_are_recorded(tiny: Log, recipe: Recipe, tmp_path: Path):
    line = refusal(recipe.changed({"inner.optimizer.learning_rate": 1e20}), tmp_path, tiny)
    assert line.startswith("no finite metagradient in the last 8 of 8 outer steps")
    assert "lower inner.optimizer.learning_rate" in line
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    history = [json.loads(one, parse_constant=pytest.fail) for one in lines]
    assert [line["steps_without_metagradient"] for line in history] == [0, 3, 3, 2]
    assert [line["real_loss"] for line in history] == [None] * 4
    assert [line["metagradient_norm"] for line in history] == [None] * 4


def test_an_outer_step_that_breaks_the_summary_is_named(tiny: Log, recipe: Recipe, tmp_path: Path):
    for steps in (4, 40):
        line = refusal(recipe.changed({"outer.learning_rate": 1e30, "outer.steps": steps}), tmp_path, tiny)
        assert line.startswith("no finite metagradient")
        assert "lower outer.learning_rate" in line
        shutil.rmtree(tmp_path)


def test_a_rough_metagradient_is_reported_once(tiny: Log, recipe: Recipe, tmp_path: Path):
    progress = Recorded()
    # sign-like first steps of Adam: the trap of a small epsilon
    rough = recipe.changed(
        {
            "inner.optimizer": v.Adam(epsilon=1e-12, learning_rate=1.0),
            "inner.steps": 20,
            "outer.window": 20,
            "outer.pool": 0,
            "outer.steps": 16,
            "select.every": 16,
        }
    )
    distill(rough, tmp_path, dataset=tiny, progress=progress, unchecked=True)
    assert len(progress.warnings) == 2
    assert "not precise" in progress.warnings[0]  # float32 is not enough for a run as rough as this
    assert "not smooth" in progress.warnings[1]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"summary.parametrization.dim": 40},
            "init.type transitions: summary.parametrization.dim 40 needs more than 40 items, "
            "the data has 40; lower it",
        ),
        (
            {"init": {"type": "teacher"}},
            "init.type teacher: gives soft labels, which need summary.parametrization.label_decoder",
        ),
        ({"inner.optimizer": {"type": "builtins:dict"}}, None),
        ({"init": {"type": "subprocess:Popen"}}, None),
    ],
)
def test_a_recipe_that_cannot_be_run_leaves_nothing(
    tiny: Log, recipe: Recipe, tmp_path: Path, changes: dict[str, Any], line: str | None
):
    refused = refusal(recipe.changed(changes), tmp_path / "out", tiny)
    assert refused == line or (line is None and refused.startswith("type "))
    assert not (tmp_path / "out").exists()


def test_a_log_that_cannot_be_used_leaves_nothing(make_dataset: MakeDataset, recipe: Recipe, tmp_path: Path):
    log = make_dataset([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 9)
    assert "nobody has two training events" in refusal(recipe, tmp_path / "out", log)
    missing = recipe.changed({"data.source": "nothing.csv"})
    with pytest.raises(FarziError, match=r"nothing\.csv"):
        distill(missing, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_reported_before_the_work_begins(
    tiny: Log, recipe: Recipe, tmp_path: Path
):
    (tmp_path / "file").write_text("mine")
    progress = Recorded()
    with pytest.raises(OSError, match="file"):
        distill(recipe, tmp_path / "file" / "out", dataset=tiny, progress=progress)
    assert progress.messages == []


@pytest.mark.parametrize("init", ["transitions", "classes", "random"])
@pytest.mark.parametrize("optimizer", ["adamw", "momentum", "adagrad", "rmsprop"])
def test_every_choice_of_the_recipe_runs(
    tiny: Log, recipe: Recipe, tmp_path: Path, optimizer: str, init: str
):
    changes = {"inner.optimizer": optimizer, "outer.window": 6, "init": init}
    recipe = recipe.changed({**changes, "outer.steps": 2, "select.seen": "exclude"})
    folder = distill(recipe, tmp_path, dataset=tiny)
    assert Summary.load(tmp_path).recipe == folder.recipe
    assert all(np.isfinite(line["real_loss"]) for line in folder.history[1:])


def test_the_number_of_classes_of_an_initial_summary(tiny: Log, recipe: Recipe):
    few = recipe.changed({"init": v.ClassInit(classes=2)})
    events = initialise(few, tiny).soft_inputs().flatten(0, 1).double()
    assert torch.linalg.matrix_rank(events - events.mean(0), atol=1e-2) <= 1
    with pytest.raises(
        FarziError, match=r"^unknown key init.classes: transitions has no classes, only teacher"
    ):
        recipe.changed({"init.classes": 2})


def test_a_validation_is_the_mean_of_fresh_students(tiny: Log, recipe: Recipe):
    summary = RandomInitializer()(Size(6, 5, 4, 41), tiny.train, np.random.default_rng(0))
    full = {name: 0.5 for name in METRICS}
    recipe = recipe.changed({"select.students": 2})
    result = validate(summary, tiny, recipe, full)
    assert validate(summary, tiny, recipe, full) == result
    one = validate(summary, tiny, recipe.changed({"select.students": 1}), full)
    assert one.figures != result.figures
    assert result.relative == {name: figure / 0.5 for name, figure in result.figures.items()}
    assert result.score == pytest.approx(np.mean([result.relative[name] for name in JUDGED]))


def test_a_summary_is_judged_by_figures_that_count_many_hits():
    few, many = {"HR@10": 9.0, "nDCG@10": 9.0, "MRR": 9.0}, {"nDCG@100": 0.6, "HR@100": 0.4}
    assert Validation({}, few | many).score == 0.5


def test_a_summary_of_a_text_is_judged_by_perplexity_and_accuracy():
    relative = {"perplexity": 1.25, "accuracy": 0.9, "bits per byte": 9.0}
    assert Validation({}, relative).score == pytest.approx((1 / 1.25 + 0.9) / 2)


def test_a_figure_that_the_full_data_misses_is_left_out_of_the_score(tiny: Log, recipe: Recipe):
    summary = RandomInitializer()(Size(6, 5, 4, 41), tiny.train, np.random.default_rng(0))
    full = {name: float(name == "HR@100") for name in METRICS}
    result = validate(summary, tiny, recipe, full)
    assert np.isnan(result.relative["HR@10"])
    assert result.score == result.relative["HR@100"]
    assert validate(summary, tiny, recipe, full | {"HR@100": 0.0}).score == 0


def test_sequences_shorter_than_the_summarys_are_enough(
    make_dataset: MakeDataset, recipe: Recipe, tmp_path: Path
):
    log = make_dataset([[1, 2, 3, 4], [2, 3, 4, 5], [3, 4, 5, 6], [9, 1, 2]], 9)
    folder = distill(recipe.changed({"outer.steps": 2}), tmp_path, dataset=log)
    assert folder.tensors.length == 5
    assert all(np.isfinite(line["real_loss"]) for line in folder.history[1:])
