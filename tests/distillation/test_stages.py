"""The four stages: each by itself, the line that each reports, and the probe that stops the outer loop."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from farzi.data import Log
from farzi.distillation import (
    Cache,
    FullData,
    OuterLoop,
    Progress,
    Selection,
    Validation,
    distill,
    initialise,
    teach,
    validate,
)
from farzi.distillation.checkpoint import load_checkpoint, save_checkpoint
from farzi.distillation.refine import cosine_decay
from farzi.distillation.run import Run
from farzi.recipe import Recipe
from farzi.recipe import variants as v

from .recorded import Recorded
from .states import assert_same_state, cloned
from .test_resume import ctrl_c, outcome

STAGES = ["teach", "initialise", "refine", "select"]


@pytest.fixture
def taught(recipe: Recipe) -> Recipe:
    """With a label decoder and two teachers."""
    return recipe.changed(
        {"summary.parametrization.label_decoder": True, "init": v.TeacherInit(teachers=2), "outer.steps": 6}
    )


def test_each_stage_by_itself_is_what_distill_does(tiny: Log, taught: Recipe, tmp_path: Path):
    full = teach(taught, tiny)
    initial = initialise(taught, tiny, full.teachers)
    loop, selection = OuterLoop(taught, tiny, initial, full.trajectories), Selection(initial)
    history: list[dict[str, Any]] = []
    while True:
        if loop.step % taught.select.every == 0:
            result = validate(loop.summary, tiny, taught, full.figures)
            best = selection.offer(loop.summary, result, last=loop.step == taught.outer.steps)
            history.append({"outer_step": loop.step, "validation": result.figures, "best": best})
        if loop.step == taught.outer.steps:
            break
        loop.take_step(taught.outer.learning_rate * cosine_decay(loop.step / taught.outer.steps))
    summary = distill(taught, tmp_path, dataset=tiny)
    assert [{name: line[name] for name in history[0]} for line in summary.history] == history
    for name, part in summary.tensors.parts.items():
        assert torch.equal(part, selection.best.parts[name])
    assert summary.run["validation_full"] == full.figures


def test_teach_is_cached(tiny: Log, taught: Recipe, tmp_path: Path):
    cache = Cache(tmp_path / "cache")
    first = teach(taught, tiny, cache)
    assert (first.trainings, first.cached_seconds) == (2, 0)
    progress = Recorded()
    again = teach(taught, tiny, cache, progress=progress)
    assert progress.lines == []  # nothing is trained
    assert (again.figures, again.seconds, again.cached_seconds) == (
        first.figures,
        first.seconds,
        first.seconds,
    )
    for one, other in zip(first.teachers, again.teachers, strict=True):
        assert all(torch.equal(value, same) for value, same in zip(one.parameters(), other.parameters()))
    assert len(list((tmp_path / "cache").iterdir())) == 2
    alone = teach(taught.changed({"init.teachers": 1}), tiny, cache, progress=progress)
    assert progress.lines == []
    assert (alone.trainings, alone.figures) == (1, first.figures)


def test_teach_reports_how_far_it_is(tiny: Log, taught: Recipe):
    progress = Recorded()
    teach(taught, tiny, progress=progress)
    assert [line.partition(", nDCG@10 ")[0] for line in progress.lines] == [
        f"full data, model {model} of 2: step {step}" for model in (1, 2) for step in (5, 10)
    ]


def test_full_data_passes_through_its_state(tiny: Log, recipe: Recipe):
    full = teach(recipe.changed({"outer.weights": "pretrained"}), tiny)
    again = FullData(**json_round_trip(full.state_dict()))
    assert (again.figures, again.seconds, again.trainings) == (full.figures, full.seconds, 1)
    assert [len(one) for one in again.trajectories] == [len(one) for one in full.trajectories] == [2]
    for one, other in zip(full.trajectories[0], again.trajectories[0], strict=True):
        assert list(one) == list(other)
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert again.teachers == ()


def json_round_trip(state: dict[str, Any]) -> dict[str, Any]:
    """All but the tensors through JSON."""
    from farzi.states import flatten, unflatten

    tensors, values = flatten(state)
    return unflatten(tensors, json.loads(json.dumps(values)))


def test_initialise_without_teachers_has_the_right_size(tiny: Log, taught: Recipe):
    stand_in, initial = initialise(taught, tiny), initialise(taught, tiny, teach(taught, tiny).teachers)
    for name, part in initial.parts.items():
        assert stand_in.parts[name].shape == part.shape
    assert not torch.equal(stand_in.latents, initial.latents)


def validation(score: float, *, noise: float = 0.0) -> Validation:
    """One whose score has a standard error of `noise`, from the 60 users of `tiny`."""
    units = np.random.default_rng(0).normal(size=60)
    units = (units - units.mean()) / units.std(ddof=1) * noise * len(units) ** 0.5
    without = score - units / (len(units) - 1)
    return Validation({"HR@100": score}, {"HR@100": score}, without)


def test_the_last_state_need_only_be_better(tiny: Log, recipe: Recipe):
    initial = initialise(recipe, tiny)
    selection = Selection(initial)
    selection.offer(initial, validation(1.0))
    assert not selection.offer(initial, validation(1.05, noise=0.05))
    assert not selection.offer(initial, validation(0.99, noise=0.05), last=True)
    assert not selection.improved
    assert selection.offer(initial, validation(1.01, noise=0.05), last=True)
    assert selection.improved
    selection.offer(initial, validation(1.2, noise=0.05))
    assert not selection.offer(initial, validation(1.19, noise=0.05), last=True)


def test_select_passes_through_its_state(tiny: Log, recipe: Recipe):
    initial = initialise(recipe, tiny)
    loop = OuterLoop(recipe, tiny, initial)
    selection, again = Selection(initial), Selection(initial)
    assert selection.offer(initial, validation(1.0))
    again.load_state_dict(cloned(selection.state_dict()))
    loop.take_step(0.03)
    assert not selection.offer(loop.summary, validation(1.05, noise=0.05))
    assert not again.offer(loop.summary, validation(1.05, noise=0.05))
    assert selection.best is initial
    assert selection.offer(loop.summary, validation(1.2, noise=0.05))
    assert again.offer(loop.summary, validation(1.2, noise=0.05))
    assert selection.improved
    assert again.improved
    third = Selection(initial)
    third.load_state_dict(cloned(again.state_dict()))
    assert (third.best_score, third.improved) == (1.2, True)
    assert torch.equal(third.best.latents, loop.summary.latents)
    assert third.first is not None
    assert selection.first is not None
    assert third.first == selection.first
    assert np.array_equal(third.first.leave_one_out, selection.first.leave_one_out)


def test_each_stage_reports_its_line_and_its_seconds(tiny: Log, taught: Recipe, tmp_path: Path):
    progress = Recorded()
    summary = distill(taught, tmp_path, dataset=tiny, progress=progress)
    assert [name for name, _, _ in progress.stages] == STAGES
    teach_line, initialise_line, refine_line, select_line = (text for _, text, _ in progress.stages)
    assert teach_line.startswith("2 full-data trainings; baseline, validation: ")
    assert (
        initialise_line
        == "6 x 5 positions by the initializer teacher, from windows of real users, who may be recognised"
    )
    assert refine_line == "6 outer steps"
    assert select_line.partition(";")[0].endswith(", of 3 validations")
    assert all("\n" not in text for _, text, _ in progress.stages)
    assert all(0 < seconds < summary.run["seconds"] + 0.1 for _, _, seconds in progress.stages)
    written = json.loads((tmp_path / "run.json").read_text())["stages"]
    assert list(written) == STAGES
    for name, _, seconds in progress.stages:
        assert written[name]["seconds"] == pytest.approx(seconds, abs=0.06)
    assert written["teach"]["trainings"] == 2
    assert written["initialise"]["type"] == "teacher"
    assert written["refine"] == written["refine"] | {"steps": 6, "stopped_by_probe": False}
    best = [line for line in summary.history if line["best"]][-1]
    assert written["select"] == written["select"] | {"validations": 3, "outer_step": best["outer_step"]}


def test_the_stages_seconds_are_those_of_all_sessions(tiny: Log, recipe: Recipe, tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        distill(recipe, tmp_path, dataset=tiny, progress=ctrl_c(5))
    saved = load_checkpoint(tmp_path)
    assert saved is not None
    saved["stages"]["refine"]["seconds"] += 1000.0
    save_checkpoint(saved, tmp_path)
    progress = Recorded()
    stages = distill(recipe, tmp_path, dataset=tiny, progress=progress).run["stages"]
    assert [name for name, _, _ in progress.stages] == ["refine", "select"]
    assert 1000 < stages["refine"]["seconds"] < 1100
    assert stages["refine"]["steps"] == 8
    assert stages["teach"]["seconds"] == round(saved["full_data"]["seconds"], 1)


# The probe


def with_scores(monkeypatch: pytest.MonkeyPatch, scores: dict[int, Validation]) -> None:
    """As if the validation after each outer step had given these; each step's is the same when repeated."""
    monkeypatch.setattr(Run, "validate", validate_as(scores))


def validate_as(scores: dict[int, Validation]) -> Any:
    real = Run.validate

    def validated(run: Run) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("farzi.distillation.run.validate", lambda *_: scores[run.loop.step])
            real(run)

    return validated


FLAT = {0: 1.0, 3: 1.0, 6: 0.99, 8: 1.0}
CLEAR = {0: 1.0, 3: 1.3, 6: 1.0, 8: 1.0}
LATE = {0: 1.0, 3: 0.9, 6: 1.3, 8: 1.0}
HOPEFUL = {0: 1.0, 3: 1.07, 6: 1.0, 8: 1.0}
"""Scores by outer step; their standard error is 0.05."""


def noisy(scores: dict[int, float]) -> dict[int, Validation]:
    first, *others = scores.items()
    return {first[0]: validation(first[1])} | {step: validation(s, noise=0.05) for step, s in others}


@pytest.mark.parametrize(
    ("scores", "probe", "steps", "stopped"),
    [
        (FLAT, None, 8, False),
        (FLAT, 3, 3, True),
        (FLAT, 2, 3, True),  # at the first validation after that
        (FLAT, 5, 6, True),
        (FLAT, 8, 8, True),
        (CLEAR, 3, 8, False),  # gained once
        (LATE, 3, 3, True),
        (LATE, 6, 8, False),
        (HOPEFUL, 3, 6, True),  # more than one standard error is worth a second look
    ],
)
def test_the_probe_stops_a_run_that_gains_nothing(
    tiny: Log,
    recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scores: dict[int, float],
    probe: int | None,
    steps: int,
    stopped: bool,
):
    with_scores(monkeypatch, noisy(scores))
    progress = Recorded()
    recipe = recipe.changed({"outer.probe": probe})
    summary = distill(recipe, tmp_path, dataset=tiny, progress=progress)
    assert summary.run["outer_steps"] == steps == summary.history[-1]["outer_step"] == len(progress.steps)
    assert summary.run["stages"]["refine"]["stopped_by_probe"] is stopped
    line = f"{steps} outer steps" + (", stopped early: they gained nothing" if stopped else "")
    assert progress.stages[2][1] == line
    if stopped:
        assert torch.equal(summary.tensors.latents, initialise(recipe, tiny).latents)
        assert progress.stages[3][1].startswith("the initial summary, of ")


@pytest.mark.parametrize("scores", [FLAT, CLEAR, HOPEFUL])
def test_a_resumed_run_with_the_probe_ends_like_an_uninterrupted_one(
    tiny: Log, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scores: dict[int, float]
):
    with_scores(monkeypatch, noisy(scores))
    recipe = recipe.changed({"outer.probe": 3})
    whole = distill(recipe, tmp_path / "whole", dataset=tiny)
    for step in (1, 3, 4):
        if step > whole.run["outer_steps"]:
            break
        with pytest.raises(KeyboardInterrupt, match=f"^stopped after outer step {step}"):
            distill(recipe, tmp_path / "cut", dataset=tiny, progress=ctrl_c(step))
    cut = distill(recipe, tmp_path / "cut", dataset=tiny)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")
    for name in ("steps", "stopped_by_probe"):
        assert cut.run["stages"]["refine"][name] == whole.run["stages"]["refine"][name]


def test_a_real_probe_stops_a_run_whose_steps_are_ruinous(tiny: Log, recipe: Recipe, tmp_path: Path):
    """No scores are made up here: steps this large make each summary worse than the initial one."""
    ruinous = recipe.changed({"outer.learning_rate": 300.0, "outer.probe": 1})
    summary = distill(ruinous, tmp_path / "ruinous", dataset=tiny)
    assert summary.run["outer_steps"] == 3
    assert summary.run["stages"]["select"]["outer_step"] == 0


def test_a_run_passes_through_its_state(tiny: Log, recipe: Recipe, tmp_path: Path):
    run = Run.begin(recipe, tiny, Cache(), Progress())
    for _ in range(4):
        run.advance()
        if run.validation_due:
            run.validate()
    save_checkpoint(run.state_dict(), tmp_path)
    saved = load_checkpoint(tmp_path)
    assert saved is not None
    again = Run.resume(saved, recipe, tiny, Progress(), tmp_path)
    assert_same_state(again.state_dict(), run.state_dict(), "seconds", "sessions")
    assert [one["outer_step"] for one in again.sessions] == [0, 4]
    first, same = run.selection.first, again.selection.first
    assert first is not None
    assert same is not None
    assert same == first
    assert np.array_equal(same.leave_one_out, first.leave_one_out)
