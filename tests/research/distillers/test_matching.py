"""Gradient and trajectory matching against autograd through plain loops. All objectives: whole runs."""

import json
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from farzi.data import Log, crops
from farzi.distillation import (
    OuterLoop,
    Progress,
    StepReport,
    check_recipe,
    distill,
    initialise,
    plan_run,
    teach,
)
from farzi.distillation.check import check_parts
from farzi.distillation.teach import FullTraining, train_on_full_data
from farzi.errors import FarziError
from farzi.recipe import Recipe
from farzi.recipe import variants as v
from farzi.training import NextEvent, make_model
from research.distillers.gradients import GradientMatching, _apart
from research.distillers.trajectories import TrajectoryMatching

from .plain_loop import (
    AHEAD,
    BATCH,
    SEED,
    SKIP,
    STEPS,
    STUDENTS,
    WAYS,
    WINDOW,
    DoubleWeights,
    World,
    agree,
)


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize(("soft_inputs", "execution"), WAYS)
@pytest.mark.parametrize(("replicas", "rows", "pool"), [(1, None, 0), (1, 4, 2), (3, 4, 0)])
def test_gradient_matching_is_that_of_the_plain_loop(
    tiny: Log, name: str, soft_inputs: str, execution: str, replicas: int, rows: int | None, pool: int
):
    world = World(tiny, name, replicas, soft_inputs, rows)
    outer = world.outer(GradientMatching(), execution, pool=pool, weights=DoubleWeights)
    for step in range(1 if pool else 2):
        summary = outer.summary
        report = outer.take_step(0.03)
        rng = np.random.default_rng([SEED, 1, step])
        if pool:
            rng.integers(pool)
        age = SKIP if pool else int(rng.integers(SKIP, STEPS - WINDOW + 1))
        firsts = [world.weights(rng) for _ in range(replicas)]
        windows = torch.from_numpy(crops(tiny.train, 5, BATCH, rng))
        latents, decoder, soft = world.leaves(summary)
        schedule = world.schedule(step)
        distances = []
        for first in firsts:
            theta = world.trained(first, soft.detach(), age, schedule, differentiated=False)
            ours = world.gradient(theta, soft[schedule[age]], create=True)
            distances.append(world.distance(ours, world.gradient(theta, windows, create=False)))
        distance = torch.stack(distances).mean()
        bars = torch.autograd.grad(distance, [latents, decoder])
        agree(world.clip.seen[-1], torch.cat([bar.reshape(-1) for bar in bars]))
        assert report.loss == pytest.approx(distance.item(), rel=1e-9)
        assert report.name == "gradient_distance"


def test_a_student_whose_gradients_were_matched_is_trained_further(tiny: Log):
    world = World(tiny, "sasrec", 1, "materialized", 4)
    outer = world.outer(GradientMatching(), "eager", pool=1, weights=DoubleWeights)
    start, schedule = outer.summary.soft_inputs(), world.schedule(0)
    outer.take_step(0.03)
    rng = np.random.default_rng([SEED, 1, 0])
    rng.integers(1)
    expected = world.trained(world.weights(rng), start, SKIP + WINDOW, schedule, differentiated=False)
    theta, _, steps, started_at = outer.state_dict()["runs"][0][0][0]
    assert (steps, started_at) == (SKIP + WINDOW, 0)
    for name, value in expected.items():
        torch.testing.assert_close(theta[name], value.detach())


def test_layers_without_a_gradient_but_for_rounding_are_left_out():
    """The bias of an attention's keys has none: it moves all of a query's scores alike."""
    real = {"a": torch.tensor([3.0, 4.0]), "b": torch.tensor([[1.0], [0.0]]), "keys": torch.tensor([1e-6])}
    turned = {"a": torch.tensor([4.0, -3.0]), "b": 7 * real["b"], "keys": torch.tensor([-5.0])}
    assert _apart(real, real).item() == pytest.approx(0)
    assert _apart(turned, real).item() == pytest.approx(1)
    nothing = {name: torch.zeros_like(value) for name, value in real.items()}
    leaf = torch.ones(2, requires_grad=True)
    (bar,) = torch.autograd.grad(_apart({"a": leaf, "b": real["b"], "keys": real["keys"]}, nothing), leaf)
    assert bar.tolist() == [0, 0]
    assert _apart(real, {**real, "a": torch.tensor([torch.nan, 0.0])}).isnan()


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize(("soft_inputs", "execution"), WAYS)
@pytest.mark.parametrize(("replicas", "rows"), [(1, None), (3, 4)])
def test_trajectory_matching_is_that_of_the_plain_loop(
    tiny: Log, name: str, soft_inputs: str, execution: str, replicas: int, rows: int | None
):
    world = World(tiny, name, replicas, soft_inputs, rows)
    draws = np.random.default_rng(5)
    trajectories = [[world.weights(draws) for _ in range(length)] for length in (3, 5)]
    outer = world.outer(TrajectoryMatching(2, AHEAD), execution, recorded=trajectories)
    for step in range(2):
        summary = outer.summary
        report = outer.take_step(0.03)
        rng = np.random.default_rng([SEED, 1, step])
        latents, decoder, soft = world.leaves(summary)
        distances = []
        for _ in range(replicas):
            trajectory = trajectories[int(rng.integers(2))]
            begin = int(rng.integers(len(trajectory) - AHEAD))
            first, last = trajectory[begin], trajectory[begin + AHEAD]
            theta = world.trained(first, soft, WINDOW, world.schedule(step), differentiated=True)
            flat, there, here = (
                torch.cat([one[key].flatten() for key in first]) for one in (theta, last, first)
            )
            distances.append((flat - there).square().sum() / (here - there).square().sum())
        distance = torch.stack(distances).mean()
        bars = torch.autograd.grad(distance, [latents, decoder])
        agree(world.clip.seen[-1], torch.cat([bar.reshape(-1) for bar in bars]))
        assert report.loss == pytest.approx(distance.item(), rel=1e-9)
        assert report.name == "trajectory_distance"
    state = outer.state_dict()
    assert (set(state["parts"]), state["runs"]) == ({"latents", "decoder"}, [[[None] * 4]] * replicas)


# Whole runs

OBJECTIVES: dict[str, dict[str, Any]] = {
    "gradients": {"type": "research.distillers.gradients:GradientMatching"},
    "trajectories": {
        "type": "research.distillers.trajectories:TrajectoryMatching",
        "trajectories": 2,
        "ahead": 1,
    },
    "first order": {"type": "research.distillers.first_order:FirstOrder", "penalty": 2.0},
}
FIGURES = {
    "gradients": "gradient_distance",
    "trajectories": "trajectory_distance",
    "first order": "penalised_loss",
}


class Interrupt(Progress):
    def __init__(self, after: int) -> None:
        self.after = after

    def step(self, number: int, fraction: float, seconds: float, report: StepReport) -> None:
        if number == self.after:
            signal.raise_signal(signal.SIGINT)


def wanting(recipe: Recipe, name: str, changes: dict[str, Any] | None = None) -> Recipe:
    return recipe.changed({"outer.objective": OBJECTIVES[name], **(changes or {})})


def outcome(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("summary.safetensors", "history.jsonl")}


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize(("replicas", "batch"), [(1, None), (2, 4)])
def test_a_stopped_run_ends_like_an_uninterrupted_one(
    tiny: Log, recipe: Recipe, tmp_path: Path, name: str, replicas: int, batch: int | None
):
    recipe = wanting(recipe, name, {"outer.replicas": replicas, "inner.batch": batch})
    summary = distill(recipe, tmp_path / "whole", dataset=tiny)
    lines = [json.loads(line) for line in (tmp_path / "whole" / "history.jsonl").read_text().splitlines()]
    assert summary.history == lines
    assert all(FIGURES[name] in line and "real_loss" not in line for line in lines)
    for step in (1, 6):
        with pytest.raises(KeyboardInterrupt):
            distill(recipe, tmp_path / "cut", dataset=tiny, progress=Interrupt(step))
    distill(recipe, tmp_path / "cut", dataset=tiny)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("replicas", [1, 2])
def test_check_and_plan(tiny: Log, recipe: Recipe, name: str, replicas: int):
    recipe = wanting(recipe, name, {"outer.replicas": replicas, "inner.optimizer.epsilon": 1e-3})
    found = check_recipe(recipe, dataset=tiny, directions=1)
    assert all(one.agrees for one in found.differences)
    assert found.precision.cosine > 0.999
    planned = plan_run(recipe, tiny)
    trajectories = name == "trajectories"
    assert planned.window.steps == (recipe.outer.window if trajectories else 1)
    assert planned.teach_steps == recipe.teach.max_steps * (2 if trajectories else 1)


def test_gradients_of_several_students_are_matched_in_turn(tiny: Log, recipe: Recipe):
    recipe = wanting(recipe, "gradients", {"outer.students": (v.GRU4Rec(hidden=8),)})
    outer = OuterLoop(recipe, tiny, initialise(recipe, tiny))
    wanted = {
        frozenset(NextEvent(student).parameters_of(student))
        for student in (make_model(one, 41, 5, 0) for one in (v.SASRec(hidden=8), v.GRU4Rec(hidden=8)))
    }
    met = set()
    for _ in range(10):
        outer.take_step(0.03)
        met.add(frozenset(outer.objective.episode(outer, outer.step).begin.theta))
    assert met == wanted


@pytest.mark.parametrize("name", ["gradients", "trajectories"])
def test_the_distance_falls(tiny: Log, recipe: Recipe, name: str):
    recipe = wanting(recipe, name, {"outer.replicas": 2, "outer.pool": 2, "outer.window": 3})
    outer = OuterLoop(recipe, tiny, initialise(recipe, tiny), teach(recipe, tiny).trajectories)
    losses = [outer.take_step(0.03).loss for _ in range(60)]
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])


def test_trajectories_begin_at_the_first_weights_and_each_training_has_its_own(tiny: Log, recipe: Recipe):
    found = teach(wanting(recipe, "trajectories"), tiny).trajectories
    assert [len(one) for one in found] == [3, 3]
    student = make_model(recipe.student, 41, 5, recipe.seed)
    for name, value in NextEvent(student).parameters_of(student).items():
        assert torch.equal(found[0][0][name], value)
    alone = FullTraining(recipe.student, recipe.teach, 5, recipe.seed, record=2)
    recorded = train_on_full_data(alone, tiny).trajectory
    for one, other in zip(found[0][1:], recorded, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    for one, other in pairwise(trajectory[0] for trajectory in found):
        assert any(not torch.equal(one[name], other[name]) for name in one)
    assert teach(recipe, tiny).trajectories == []


def test_a_stretch_that_no_training_is_long_enough_for_is_refused(tiny: Log, recipe: Recipe):
    recipe = wanting(recipe, "trajectories", {"outer.objective.ahead": 3})
    line = r"^outer\.objective\.ahead 3: a full-data training ended after 2 measurements; lower it$"
    with pytest.raises(FarziError, match=line):
        check_recipe(recipe, dataset=tiny)


@pytest.mark.parametrize(
    ("name", "changes", "line"),
    [
        (
            "trajectories",
            {"outer.weights": {"type": "pretrained", "share": 0.5}},
            r"^outer\.weights\.type pretrained: .* leave it out",
        ),
        (
            "trajectories",
            {"outer.students": (v.GRU4Rec(),)},
            r"^outer\.students: .* leave them out",
        ),
        (
            "gradients",
            {"outer.adjoint": {"type": "algorithm1"}},
            r"^outer\.adjoint\.type algorithm1: runs Adam backwards, and gradient matching runs none",
        ),
        (
            "first order",
            {"outer.adjoint": {"type": "algorithm1"}},
            r"^outer\.adjoint\.type algorithm1: runs Adam backwards, and a first-order step runs nothing",
        ),
        (
            "first order",
            {"outer.objective.penalty": 0},
            r"^outer\.objective\.penalty 0: must be above 0$",
        ),
    ],
)
def test_what_contradicts_itself_is_refused_before_anything_is_trained(
    recipe: Recipe, name: str, changes: dict[str, Any], line: str
):
    with pytest.raises(FarziError, match=line):
        check_parts(wanting(recipe, name, changes))


def test_settings_of_another_objective_are_refused(recipe: Recipe):
    with pytest.raises(FarziError, match=r"unknown key outer\.objective\.ahead"):
        recipe.changed({"outer.objective.ahead": 2})
