"""From a recipe's settings to the values that they name."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from farzi.data import Data
from farzi.distillation.clipping import RunningClip
from farzi.distillation.execution import EXECUTIONS, GRADIENTS, chosen_execution
from farzi.distillation.loop import InnerLoop
from farzi.distillation.objectives import GradientMatching, MetaMatching, Objective, TrajectoryMatching
from farzi.distillation.outer import Outer
from farzi.distillation.runs import Anew, Pool, Runs
from farzi.distillation.students import Line, Students
from farzi.distillation.together import group
from farzi.distillation.weights import Fresh, Mixed, Pretrained, Theta, Weights
from farzi.distillation.window import Window
from farzi.errors import FarziError
from farzi.evaluation import kind_of
from farzi.recipe import Recipe, StudentSettings, another
from farzi.students import Student
from farzi.summary import (
    FEEDS,
    FORMS,
    Classes,
    Form,
    Gaussian,
    Size,
    Start,
    Summary,
    Taught,
    TaughtAlike,
    Teachers,
    Transitions,
    chosen_feed,
)
from farzi.training import NextEvent, make_student

AskTeachers = Callable[[], tuple[Student, ...]]
"""Gives students that were trained on the full data."""

STARTS: Mapping[str, Callable[[AskTeachers, Classes], Start]] = {
    "transitions": lambda ask, classes: Transitions(),
    "classes": lambda ask, classes: classes,
    "taught": lambda ask, classes: Taught(Teachers(ask()), classes),
    "taught-alike": lambda ask, classes: TaughtAlike(Teachers(ask()), classes),
    "random": lambda ask, classes: Gaussian(),
}
"""By the names that a recipe uses."""

CLASSLESS = ("transitions", "random")


def first_summary(recipe: Recipe, dataset: Data, teachers: AskTeachers | None = None) -> Summary:
    """What the outer loop starts from, in the form that is learnt.

    Args:
        recipe: the whole run.
        dataset: the log.
        teachers: for a start that is taught; without them a fresh student stands in, for a summary of the
            right size and with the wrong targets.

    Raises:
        FarziError: the log is too small for it, or it has no classes to be so many.
    """
    if dataset.train.lengths.max() < 2:
        raise FarziError(
            f"{dataset.name}: nobody has two training events, so there is no next event to learn; "
            "longer sequences or another --split are needed"
        )
    asked = recipe.summary
    size = Size(
        asked.sequences,
        asked.length,
        asked.dim,
        len(dataset.vocabulary),
        asked.temperature,
        own_targets=asked.targets == "own",
    )
    named = _named_start(recipe, dataset)
    if asked.classes is not None and named in CLASSLESS:
        raise FarziError(f"--classes {asked.classes}: a start from {named} has none; leave it out")
    ask = teachers or (lambda: (_student(recipe, dataset, recipe.student).student,))
    make = STARTS[named](ask, Classes(asked.classes))
    start = make(size, dataset.train, np.random.default_rng([recipe.seed, 0]))
    if size.own_targets and start.targets is None:
        start = dataclasses.replace(start, targets=start.decoder.clone())
    form = form_of(recipe)
    return form.summary(form.parts(start), start.temperature)


def _named_start(recipe: Recipe, dataset: Data) -> str:
    """What a recipe's summary starts from, one of `STARTS`."""
    if recipe.summary.start != "auto":
        return recipe.summary.start
    kind = kind_of(dataset)
    return kind.taught if recipe.summary.targets == "own" else kind.start


def form_of(recipe: Recipe) -> Form:
    """The form in which a recipe's summary is learnt."""
    return FORMS[recipe.summary.form](recipe.summary)


Trajectories = Sequence[Sequence[Theta]]
"""Weights on the ways of full-data trainings."""


def _pretrained(trajectories: Trajectories) -> Weights:
    return Pretrained([theta for trajectory in trajectories for theta in trajectory])


WEIGHTS: Mapping[str, Callable[[Weights, Trajectories], Weights]] = {
    "fresh": lambda fresh, trajectories: fresh,
    "pretrained": lambda fresh, trajectories: _pretrained(trajectories),
    "mixed": lambda fresh, trajectories: Mixed(fresh, _pretrained(trajectories)),
}
"""Where inner runs begin, by the names that a recipe uses."""


def outer_loop(
    recipe: Recipe, dataset: Data, start: Summary, clip: RunningClip, trajectories: Trajectories
) -> Outer:
    """The outer loop before its first step.

    Args:
        recipe: the whole run.
        dataset: the log.
        start: the summary that it changes, in the recipe's form; all is done where it is.
        clip: of the metagradient.
        trajectories: weights on the ways of full-data trainings, where they are needed
            (`farzi.distillation.reference`); else empty.

    Raises:
        FarziError: the trajectories are too short for the objective.
    """
    objective = objective_of(recipe, dataset, trajectories, start.device)
    return Outer(start, form_of(recipe), objective, inner_loop(recipe, start, objective), clip)


def objective_of(
    recipe: Recipe, dataset: Data, trajectories: Trajectories, device: torch.device | str = "cpu"
) -> Objective:
    """What a recipe's summary is learnt for, on a device; arguments and errors as for `outer_loop`."""
    there = [
        [{name: value.to(device) for name, value in theta.items()} for theta in trajectory]
        for trajectory in trajectories
    ]
    return OBJECTIVES[recipe.outer.objective](recipe, dataset, there, device)


def _trajectory_matching(
    recipe: Recipe, dataset: Data, trajectories: Trajectories, device: torch.device | str
) -> TrajectoryMatching:
    ahead, shortest = recipe.outer.ahead or 1, min(map(len, trajectories), default=0)
    if shortest <= ahead:
        raise FarziError(
            f"--ahead {ahead}: a full-data training ended after {max(0, shortest - 1)} measurements; lower it"
        )
    runs = group(_student(recipe, dataset, recipe.student, device), recipe.outer.runs)
    return TrajectoryMatching(runs, trajectories, ahead, recipe.seed)


OBJECTIVES: Mapping[str, Callable[[Recipe, Data, Trajectories, torch.device | str], Objective]] = {
    "meta": lambda *of: MetaMatching(_students(*of)),
    "gradients": lambda *of: GradientMatching(_students(*of)),
    "trajectories": _trajectory_matching,
}
"""By the names that a recipe uses."""


def inner_loop(recipe: Recipe, start: Summary, objective: Objective) -> InnerLoop:
    """How students are trained while a summary is learnt, which is `start` at first."""
    student = objective.group.loss.student
    return InnerLoop(
        Window.of(recipe.inner),
        FEEDS[chosen_feed(recipe.inner, start)[0]],
        recipe.inner.batch,
        recipe.seed,
        EXECUTIONS[chosen_execution(recipe, student)[0]](),
        GRADIENTS[recipe.inner.gradient],
        recipe.inner.rate_range,
    )


def _students(
    recipe: Recipe, dataset: Data, trajectories: Trajectories, device: torch.device | str
) -> Students:
    """The students in training on the summary."""
    names = (recipe.student.name, *recipe.inner.students)
    lines = [_line(recipe, dataset, name, trajectories, device) for name in names]
    return Students(lines, dataset.train, recipe.outer.batch, recipe.seed)


def _line(
    recipe: Recipe, dataset: Data, name: str, trajectories: Trajectories, device: torch.device | str
) -> Line:
    """The inner runs of the student of that name, else as large as the recipe's."""
    settings = another(recipe.student, name)
    loss = _student(recipe, dataset, settings, device)
    fresh = Fresh(loss, settings, len(dataset.vocabulary), recipe.summary.length)
    weights = WEIGHTS[recipe.inner.weights](fresh, trajectories)
    runs = group(loss, recipe.outer.runs)
    return Line(runs, _inner_runs(recipe, runs.weights(weights)))


def _student(
    recipe: Recipe, dataset: Data, settings: StudentSettings, device: torch.device | str = "cpu"
) -> NextEvent:
    vocabulary, length = len(dataset.vocabulary), recipe.summary.length
    return NextEvent(make_student(settings, vocabulary, length, recipe.seed, device))


def _inner_runs(recipe: Recipe, weights: Weights) -> Runs:
    """Where the windows of a recipe's outer steps begin."""
    inner, length = recipe.inner, Window.of(recipe.inner).length
    if inner.pool == 0:
        return Anew(weights, inner.steps, length, inner.skip)
    return Pool(weights, inner.steps, length, inner.skip, inner.pool)
