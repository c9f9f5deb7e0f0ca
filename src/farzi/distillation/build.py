"""From a recipe's settings to the values that they name."""

from collections.abc import Callable
from functools import partial

import numpy as np

from farzi.data import Data
from farzi.distillation.clipping import RunningClip
from farzi.distillation.outer import Line, Outer
from farzi.distillation.runs import Anew, Pool, Runs
from farzi.distillation.together import group
from farzi.distillation.weights import Fresh, Mixed, Pretrained, Theta, Weights
from farzi.distillation.window import Window
from farzi.errors import FarziError
from farzi.evaluation import kind_of
from farzi.recipe import Recipe, another
from farzi.students import Student
from farzi.summary import FEEDS, Classes, Gaussian, Size, Start, Summary, Transitions, chosen_feed
from farzi.training import NextEvent, make_student
from farzi.unroll import Compiled, Eager, Execution, interpreter


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
    if recipe.student.name in inner.students:
        raise FarziError(f"--students: {recipe.student.name} is the student already; name others only")
    if recipe.student.hidden % (recipe.student.heads or 1):
        raise FarziError(f"--heads {recipe.student.heads} does not divide --hidden {recipe.student.hidden}")


STARTS: dict[str, Start] = {"transitions": Transitions(), "classes": Classes(), "random": Gaussian()}
"""By the names that a recipe uses."""


def first_summary(recipe: Recipe, dataset: Data) -> Summary:
    """What the outer loop starts from.

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
    return STARTS[named](size, dataset.train, np.random.default_rng([recipe.seed, 0]))


def outer_loop(
    recipe: Recipe, dataset: Data, start: Summary, clip: RunningClip, trajectory: list[Theta]
) -> Outer:
    """The outer loop before its first step.

    Args:
        recipe: the whole run.
        dataset: the log.
        start: the summary that it changes.
        clip: of the metagradient.
        trajectory: weights on the way of a full-data training; empty where inner runs begin with fresh ones.
    """
    names = (recipe.student.name, *recipe.inner.students)
    lines = [_line(recipe, dataset, name, trajectory) for name in names]
    student = lines[0].group.loss.student
    return Outer(
        start,
        lines,
        dataset.train,
        Window.of(recipe.inner),
        recipe.outer.batch,
        clip,
        recipe.seed,
        EXECUTIONS[chosen_execution(recipe, student)[0]](),
        FEEDS[chosen_feed(recipe.inner, start)[0]],
        recipe.inner.batch,
    )


def _line(recipe: Recipe, dataset: Data, name: str, trajectory: list[Theta]) -> Line:
    """The inner runs of the student of that name, else as large as the recipe's."""
    settings = another(recipe.student, name)
    student = make_student(settings, len(dataset.vocabulary), recipe.summary.length, recipe.seed)
    loss = NextEvent(student)
    fresh = Fresh(loss, settings, len(dataset.vocabulary), recipe.summary.length)
    match recipe.inner.weights:
        case "fresh":
            weights = fresh
        case "pretrained":
            weights = Pretrained(trajectory)
        case "mixed":
            weights = Mixed(fresh, Pretrained(trajectory))
    runs = group(loss, recipe.outer.runs)
    return Line(runs, inner_runs(recipe, runs.weights(weights)))


TRACED = 30.0
"""Seconds of eager outer steps from which on tracing, some 3 seconds once, is repaid."""
COMPILED = 200.0
"""The same of compiling, some 30 seconds once."""
SPEED = 5e10
"""Floating-point operations a second that are counted on; of two cores. A guess must do: a measured speed
would let an interrupted run go on otherwise than it began."""


EXECUTIONS: dict[str, Callable[[], Execution]] = {
    "eager": Eager,
    "graph": partial(Compiled, compiler=interpreter),
    "compiled": Compiled,
}
"""By the names that a recipe uses."""


def chosen_execution(recipe: Recipe, student: Student) -> tuple[str, str]:
    """How the inner loop's derivatives are carried out, one of `EXECUTIONS`, and why."""
    if recipe.inner.execution != "auto":
        return recipe.inner.execution, "the recipe says so"
    seconds = _eager_seconds(recipe, student)
    eager = f"some {seconds:.0f} s of eager steps"
    if seconds < TRACED:
        return "eager", f"{eager} do not repay tracing, from {TRACED:.0f} s on"
    if seconds < COMPILED:
        return "graph", f"{eager} repay tracing, not compiling, from {COMPILED:.0f} s on"
    return "compiled", f"{eager} repay compiling"


def _eager_seconds(recipe: Recipe, student: Student) -> float:
    """What all outer steps may take."""
    if recipe.outer.minutes is not None:
        return 60 * recipe.outer.minutes
    sequences = recipe.summary.sequences
    events = min(sequences, recipe.inner.batch or sequences) * recipe.summary.length
    parameters = sum(value.numel() for value in student.parameters())
    gradient = 2 * 3 * 2 * events * parameters  # products forward and back, the tables twice: in and out
    return recipe.outer.steps * recipe.outer.runs * recipe.inner.window * 5 * gradient / SPEED


def inner_runs(recipe: Recipe, weights: Weights) -> Runs:
    """Where the windows of a recipe's outer steps begin."""
    inner, length = recipe.inner, Window.of(recipe.inner).length
    if inner.pool == 0:
        return Anew(weights, inner.steps, length, inner.skip)
    return Pool(weights, inner.steps, length, inner.skip, inner.pool)
