"""From a recipe's settings to the values that they name."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

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
from farzi.summary import (
    FEEDS,
    FORMS,
    Classes,
    Form,
    Gaussian,
    Size,
    Start,
    Summary,
    Transitions,
    chosen_feed,
)
from farzi.training import NextEvent, make_student


def refuse_contradictions(recipe: Recipe) -> None:
    """Refuse settings that are each allowed, but not together.

    Raises:
        FarziError: there are some.
    """
    inner = recipe.inner
    if inner.window > inner.steps:
        raise FarziError(f"--window {inner.window} is longer than --inner-steps {inner.steps}; shorten it")
    if inner.students and inner.weights != "fresh":
        raise FarziError(
            f"--students {','.join(inner.students)}: inner runs of several students begin with fresh "
            f"weights, not with {inner.weights} ones; leave --weights out"
        )
    if recipe.summary.form == "table" and inner.soft_events == "factored":
        raise FarziError("--form table has no factors: leave --soft-events out")
    if inner.gradient == "algorithm-1":
        _refuse_for_algorithm_1(recipe)
    if recipe.outer.objective == "trajectories" and (inner.students or inner.weights != "fresh"):
        named = "--students" if inner.students else f"--weights {inner.weights}"
        raise FarziError(
            "--objective trajectories: inner runs begin on the way of the student's own full-data trainings; "
            f"leave {named} out"
        )
    if recipe.student.name in inner.students:
        raise FarziError(f"--students: {recipe.student.name} is the student already; name others only")
    if recipe.student.hidden % (recipe.student.heads or 1):
        raise FarziError(f"--heads {recipe.student.heads} does not divide --hidden {recipe.student.hidden}")


def _refuse_for_algorithm_1(recipe: Recipe) -> None:
    inner = recipe.inner
    if recipe.outer.objective == "gradients":
        raise FarziError("--gradient algorithm-1 runs Adam backwards, and --objective gradients runs none")
    if inner.optimizer != "adam":
        raise FarziError(f"--gradient algorithm-1 runs Adam backwards, not {inner.optimizer}")
    if inner.weight_decay:
        raise FarziError("--gradient algorithm-1 runs Adam backwards without --weight-decay; leave that out")
    for name in ("beta1", "beta2"):
        if getattr(inner, name) == 0:
            raise FarziError(f"--gradient algorithm-1 divides by --{name}, which is 0")


STARTS: dict[str, Start] = {"transitions": Transitions(), "classes": Classes(), "random": Gaussian()}
"""By the names that a recipe uses."""


def first_summary(recipe: Recipe, dataset: Data) -> Summary:
    """What the outer loop starts from, in the form that is learnt.

    Raises:
        FarziError: the log is too small for it.
    """
    if dataset.train.lengths.max() < 2:
        raise FarziError(
            f"{dataset.name}: nobody has two training events, so there is no next event to learn; "
            "longer sequences or another --split are needed"
        )
    asked = recipe.summary
    named = kind_of(dataset).start if asked.start == "auto" else asked.start
    size = Size(asked.sequences, asked.length, asked.dim, len(dataset.vocabulary), asked.temperature)
    start = STARTS[named](size, dataset.train, np.random.default_rng([recipe.seed, 0]))
    form = form_of(recipe)
    return form.summary(form.parts(start), start.temperature)


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
        start: the summary that it changes, in the recipe's form.
        clip: of the metagradient.
        trajectories: weights on the ways of full-data trainings, where they are needed
            (`farzi.distillation.reference`); else empty.

    Raises:
        FarziError: the trajectories are too short for the objective.
    """
    objective = objective_of(recipe, dataset, trajectories)
    return Outer(start, form_of(recipe), objective, inner_loop(recipe, start, objective), clip)


def objective_of(recipe: Recipe, dataset: Data, trajectories: Trajectories) -> Objective:
    """What a recipe's summary is learnt for; arguments and errors as for `outer_loop`."""
    return OBJECTIVES[recipe.outer.objective](recipe, dataset, trajectories)


def _trajectory_matching(recipe: Recipe, dataset: Data, trajectories: Trajectories) -> TrajectoryMatching:
    ahead, shortest = recipe.outer.ahead or 1, min(map(len, trajectories), default=0)
    if shortest <= ahead:
        raise FarziError(
            f"--ahead {ahead}: a full-data training ended after {max(0, shortest - 1)} measurements; lower it"
        )
    runs = group(_student(recipe, dataset, recipe.student), recipe.outer.runs)
    return TrajectoryMatching(runs, trajectories, ahead, recipe.seed)


OBJECTIVES: Mapping[str, Callable[[Recipe, Data, Trajectories], Objective]] = {
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
    )


def _students(recipe: Recipe, dataset: Data, trajectories: Trajectories) -> Students:
    """The students in training on the summary."""
    names = (recipe.student.name, *recipe.inner.students)
    lines = [_line(recipe, dataset, name, trajectories) for name in names]
    return Students(lines, dataset.train, recipe.outer.batch, recipe.seed)


def _line(recipe: Recipe, dataset: Data, name: str, trajectories: Trajectories) -> Line:
    """The inner runs of the student of that name, else as large as the recipe's."""
    settings = another(recipe.student, name)
    loss = _student(recipe, dataset, settings)
    fresh = Fresh(loss, settings, len(dataset.vocabulary), recipe.summary.length)
    weights = WEIGHTS[recipe.inner.weights](fresh, trajectories)
    runs = group(loss, recipe.outer.runs)
    return Line(runs, _inner_runs(recipe, runs.weights(weights)))


def _student(recipe: Recipe, dataset: Data, settings: StudentSettings) -> NextEvent:
    return NextEvent(make_student(settings, len(dataset.vocabulary), recipe.summary.length, recipe.seed))


def _inner_runs(recipe: Recipe, weights: Weights) -> Runs:
    """Where the windows of a recipe's outer steps begin."""
    inner, length = recipe.inner, Window.of(recipe.inner).length
    if inner.pool == 0:
        return Anew(weights, inner.steps, length, inner.skip)
    return Pool(weights, inner.steps, length, inner.skip, inner.pool)
