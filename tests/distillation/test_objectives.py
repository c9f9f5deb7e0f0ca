"""Gradient and trajectory matching: each against autograd through a plain loop, and in whole runs."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from farzi.data import Dataset, crops
from farzi.distillation import (
    Anew,
    Fresh,
    GradientMatching,
    InnerLoop,
    Line,
    Objective,
    Outer,
    Pool,
    References,
    Students,
    Training,
    TrajectoryMatching,
    Window,
    check_recipe,
    distill,
    plan_run,
    train_reference,
)
from farzi.distillation.build import first_summary, outer_loop
from farzi.distillation.clipping import RunningClip
from farzi.distillation.contradictions import refuse_contradictions
from farzi.distillation.objectives.gradients import _apart
from farzi.distillation.together import Group, group
from farzi.errors import FarziError
from farzi.recipe import InnerSettings, OuterSettings, Recipe, StudentSettings
from farzi.recipe.student import StudentName
from farzi.summary import Factored, LowRank, Feed, RandomInitializer, Size, SummaryTensors, Whole
from farzi.training import NextEvent, make_model
from farzi.unroll import Adam, Compiled, Eager, Execution, Store, interpreter

from .test_outer import RecordingClip
from .test_resume import ctrl_c, outcome

Theta = dict[str, Tensor]
STEPS, WINDOW, SKIP, BATCH, SEED, AHEAD = 7, 3, 2, 5, 11, 2
NAMES: tuple[StudentName, ...] = ("sasrec", "gru4rec")
STUDENTS = {name: StudentSettings(name=name, hidden=6) for name in NAMES}
FEEDS: dict[str, Feed] = {"whole": Whole(), "factored": Factored()}
EXECUTIONS = {"eager": Eager, "graph": lambda: Compiled(compiler=interpreter)}
WAYS = [("whole", "eager"), ("factored", "eager"), ("factored", "graph")]


class World:
    """A summary, a student and its loss in float64, and an outer loop on them."""

    def __init__(self, tiny: Dataset, name: str, together: int, feed: Feed, rows: int | None) -> None:
        start = RandomInitializer()(Size(6, 5, 4, 41, 0.5), tiny.train, np.random.default_rng(0))
        self.start = SummaryTensors(start.latents.double(), start.decoder.double(), 0.5)
        self.tiny, self.feed, self.rows = tiny, feed, rows
        self.loss = NextEvent(make_model(STUDENTS[name], 41, 5, 0))
        self.fresh = Fresh(self.loss, STUDENTS[name], 41, 5)
        self.group: Group = group(self.loss, together)
        self.clip = RecordingClip()

    def weights(self, rng: np.random.Generator) -> Theta:
        return {name: value.double() for name, value in self.fresh(rng).items()}

    def outer(self, objective: Objective, execution: Execution) -> Outer:
        window = Window(WINDOW, Adam(0.02, epsilon=1e-5), 0.02, 0.0, STEPS)
        loop = InnerLoop(window, self.feed, self.rows, SEED, execution, Store())
        return Outer(self.start, LowRank(), objective, loop, self.clip)

    def students(self, pool: int) -> Students:
        weights = self.group.weights(self.weights)
        runs = Pool(weights, STEPS, WINDOW, SKIP, pool) if pool else Anew(weights, STEPS, WINDOW, SKIP)
        return Students([Line(self.group, runs)], self.tiny.train, BATCH, SEED)

    def schedule(self, step: int) -> list[list[int]]:
        """What the steps of a run read that began at that outer step."""
        if self.rows is None:
            return [list(range(6))] * STEPS
        seed = int(np.random.default_rng([SEED, 4, step]).integers(2**62))
        orders = [np.random.default_rng([seed, 3, k]).permutation(6) for k in range(5)]
        return np.concatenate(orders)[: self.rows * STEPS].reshape(STEPS, self.rows).tolist()

    def trained(
        self, theta: Theta, soft: Tensor, steps: int, schedule: list[list[int]], differentiated: bool
    ) -> Theta:
        """Plain steps of Adam."""
        mean = {name: torch.zeros_like(value) for name, value in theta.items()}
        square = {name: torch.zeros_like(value) for name, value in theta.items()}
        for t in range(1, steps + 1):
            if t == 1 or not differentiated:
                theta = {name: value.detach().requires_grad_() for name, value in theta.items()}
            value = self.loss.at(theta, soft[schedule[t - 1]])
            gradients = torch.autograd.grad(value, list(theta.values()), create_graph=differentiated)
            after = {}
            for (name, parameter), g in zip(theta.items(), gradients):
                mean[name] = 0.9 * mean[name] + 0.1 * g
                square[name] = 0.999 * square[name] + 0.001 * g * g
                root = torch.where(square[name] > 0, square[name], 1.0).sqrt() * (square[name] > 0)
                step = mean[name] / (1 - 0.9**t) / (root / (1 - 0.999**t) ** 0.5 + 1e-5)
                after[name] = parameter - 0.02 * step
            theta = after
        return theta

    def leaves(self, summary: SummaryTensors) -> tuple[Tensor, Tensor, Tensor]:
        latents, decoder = summary.latents.clone().requires_grad_(), summary.decoder.clone().requires_grad_()
        return latents, decoder, SummaryTensors(latents, decoder, 0.5).events()

    def distance(self, ours: Theta, theirs: Theta) -> Tensor:
        """Of gradients, in a sum over layers; none of these students has a layer without a gradient."""
        whole = torch.cat([value.flatten() for value in theirs.values()]).norm()
        assert all(value.norm() > 1e-4 * whole for value in theirs.values())
        cosines = [
            torch.nn.functional.cosine_similarity(ours[name].flatten(), theirs[name].flatten(), dim=0)
            for name in theirs
        ]
        return sum((1 - one for one in cosines), torch.zeros((), dtype=torch.float64))

    def gradient(self, theta: Theta, events: Tensor, create: bool) -> Theta:
        theta = {name: value.detach().requires_grad_() for name, value in theta.items()}
        found = torch.autograd.grad(self.loss.at(theta, events), list(theta.values()), create_graph=create)
        return dict(zip(theta, found, strict=True))


def agree(found: Tensor, expected: Tensor, tolerance: float = 1e-11) -> None:
    assert expected.norm() > 1e-4
    assert (found - expected).norm() / expected.norm() < tolerance


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize(("feed", "execution"), WAYS)
@pytest.mark.parametrize(("together", "rows", "pool"), [(1, None, 0), (1, 4, 2), (3, 4, 0)])
def test_gradient_matching_is_that_of_the_plain_loop(
    tiny: Dataset, name: str, feed: str, execution: str, together: int, rows: int | None, pool: int
):
    world = World(tiny, name, together, FEEDS[feed], rows)
    outer = world.outer(GradientMatching(world.students(pool)), EXECUTIONS[execution]())
    for step in range(1 if pool else 2):
        summary = outer.summary
        report = outer.take_step(0.03)
        rng = np.random.default_rng([SEED, 1, step])
        if pool:
            rng.integers(pool)
        age = SKIP if pool else int(rng.integers(SKIP, STEPS - WINDOW + 1))
        firsts = [world.weights(rng) for _ in range(together)]
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
        assert report.figure == "gradient_distance"


def test_a_student_whose_gradients_were_matched_is_trained_further(tiny: Dataset):
    world = World(tiny, "sasrec", 1, Whole(), 4)
    objective = GradientMatching(world.students(1))
    outer = world.outer(objective, Eager())
    start, schedule = outer.summary.events(), world.schedule(0)
    outer.take_step(0.03)
    rng = np.random.default_rng([SEED, 1, 0])
    rng.integers(1)
    expected = world.trained(world.weights(rng), start, SKIP + WINDOW, schedule, differentiated=False)
    kept = outer.tensors()
    for name, value in expected.items():
        torch.testing.assert_close(kept[f"runs/0/{SKIP + WINDOW}@0/theta/{name}"], value.detach())


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
@pytest.mark.parametrize(("feed", "execution"), WAYS)
@pytest.mark.parametrize(("together", "rows"), [(1, None), (3, 4)])
def test_trajectory_matching_is_that_of_the_plain_loop(
    tiny: Dataset, name: str, feed: str, execution: str, together: int, rows: int | None
):
    world = World(tiny, name, together, FEEDS[feed], rows)
    draws = np.random.default_rng(5)
    trajectories = [[world.weights(draws) for _ in range(length)] for length in (3, 5)]
    objective = TrajectoryMatching(world.group, trajectories, AHEAD, SEED)
    outer = world.outer(objective, EXECUTIONS[execution]())
    for step in range(2):
        summary = outer.summary
        report = outer.take_step(0.03)
        rng = np.random.default_rng([SEED, 1, step])
        latents, decoder, soft = world.leaves(summary)
        distances = []
        for _ in range(together):
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
        assert report.figure == "trajectory_distance"
    assert set(outer.tensors()) == {"latents", "decoder", "adam/mean", "adam/square"}


# Whole runs

RECIPES = {
    "gradients": {"objective": "gradients"},
    "trajectories": {"objective": "trajectories", "trajectories": 2, "ahead": 1},
}


def wanting(recipe: Recipe, name: str, outer: dict[str, Any] | None = None, **inner: Any) -> Recipe:
    settings = {**recipe.outer.model_dump(), **RECIPES[name], **(outer or {})}
    loop = InnerSettings.model_validate({**recipe.inner.model_dump(), **inner})
    return recipe.model_copy(update={"outer": OuterSettings.model_validate(settings), "inner": loop})


@pytest.mark.usefixtures("_short_reference")
@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize(("runs", "batch"), [(1, None), (2, 4)])
def test_a_stopped_run_ends_like_an_uninterrupted_one(
    tiny: Dataset, recipe: Recipe, tmp_path: Path, name: str, runs: int, batch: int | None
):
    recipe = wanting(recipe, name, {"runs": runs}, batch=batch)
    folder = distill(recipe, tmp_path / "whole", dataset=tiny)
    figure = {"gradients": "gradient_distance", "trajectories": "trajectory_distance"}[name]
    lines = [json.loads(line) for line in (tmp_path / "whole" / "history.jsonl").read_text().splitlines()]
    assert folder.history == lines
    assert all(figure in line and "real_loss" not in line for line in lines)
    for step in (1, 6):
        with pytest.raises(KeyboardInterrupt):
            distill(recipe, tmp_path / "cut", dataset=tiny, progress=ctrl_c(step))
    distill(recipe, tmp_path / "cut", dataset=tiny)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


@pytest.mark.usefixtures("_short_reference")
@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("runs", [1, 2])
def test_check_and_plan(tiny: Dataset, recipe: Recipe, name: str, runs: int):
    recipe = wanting(recipe, name, {"runs": runs}, epsilon=1e-3)
    found = check_recipe(recipe, dataset=tiny, directions=1)
    assert all(one.agrees for one in found.differences)
    assert found.precision.cosine > 0.999
    planned = plan_run(recipe, tiny)
    steps = {"gradients": 1, "trajectories": recipe.inner.window}[name]
    assert planned.window.steps == steps
    assert planned.reference_steps == 5000 * {"gradients": 1, "trajectories": 2}[name]
    assert (planned.plain_steps == 0) is (name == "trajectories")


@pytest.mark.usefixtures("_short_reference")
def test_gradients_of_several_students_are_matched_in_turn(tiny: Dataset, recipe: Recipe):
    recipe = wanting(recipe, "gradients", students=("gru4rec",))
    outer = outer_loop(recipe, tiny, first_summary(recipe, tiny), RunningClip(), [])
    wanted = {
        frozenset(NextEvent(student).parameters_of(student))
        for student in (make_model(StudentSettings(name=name, hidden=8), 41, 5, 0) for name in NAMES)
    }
    met = set()
    for _ in range(10):
        outer.take_step(0.03)
        met.add(frozenset(outer.draw().theta))
    assert met == wanted


@pytest.mark.usefixtures("_short_reference")
def test_the_distance_falls(tiny: Dataset, recipe: Recipe):
    for name in RECIPES:
        wanted = wanting(recipe, name, {"runs": 2}, pool=2, window=3)
        trajectories = References()(wanted, tiny).trajectories
        outer = outer_loop(wanted, tiny, first_summary(wanted, tiny), RunningClip(), trajectories)
        losses = [outer.take_step(0.03).loss for _ in range(60)]
        assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10]), name


@pytest.mark.usefixtures("_short_reference")
def test_trajectories_begin_at_the_first_weights_and_each_training_has_its_own(tiny: Dataset, recipe: Recipe):
    found = References()(wanting(recipe, "trajectories"), tiny)
    assert [len(one) for one in found.trajectories] == [3, 3]
    student = make_model(recipe.student, 41, 5, recipe.seed)
    for name, value in NextEvent(student).parameters_of(student).items():
        assert torch.equal(found.trajectories[0][0][name], value)
    kept = train_reference(Training(recipe.student, 5, recipe.seed, keep=2), tiny)
    for one, other in zip(found.trajectories[0][1:], kept.trajectory, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    for one, other in pairwise(trajectory[0] for trajectory in found.trajectories):
        assert any(not torch.equal(one[name], other[name]) for name in one)
    assert References()(recipe, tiny).trajectories == []


@pytest.mark.usefixtures("_short_reference")
def test_a_stretch_that_no_training_is_long_enough_for_is_refused(tiny: Dataset, recipe: Recipe):
    recipe = wanting(recipe, "trajectories", {"ahead": 3})
    line = r"^--ahead 3: a full-data training ended after 2 measurements; lower it$"
    with pytest.raises(FarziError, match=line):
        check_recipe(recipe, dataset=tiny)


@pytest.mark.parametrize(
    ("name", "inner", "line"),
    [
        ("trajectories", {"weights": "mixed"}, "leave --weights mixed out"),
        ("trajectories", {"students": ("gru4rec",)}, "leave --students out"),
        (
            "gradients",
            {"gradient": "algorithm-1"},
            "runs Adam backwards, and --objective gradients runs none",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(recipe: Recipe, name: str, inner: dict[str, Any], line: str):
    with pytest.raises(FarziError, match=line):
        refuse_contradictions(wanting(recipe, name, **inner))


def test_settings_of_another_objective_are_refused():
    with pytest.raises(ValueError, match="meta has no ahead, only trajectories has; leave it out"):
        OuterSettings(ahead=2)
