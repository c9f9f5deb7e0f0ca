"""Checks before a run: that a recipe's parts fit each other, and that its first metagradient is sound."""

import dataclasses
import math
import os
from typing import Any

import torch

from farzi.data import Data, load_data
from farzi.distillation.initialise import initialise
from farzi.distillation.inner import Rates
from farzi.distillation.refine import OuterLoop
from farzi.distillation.teach import full_trainings, train_on_full_data
from farzi.errors import FarziError
from farzi.files import finite_values
from farzi.progress import Progress
from farzi.recipe import Recipe
from farzi.summary import Parametrization
from farzi.surroundings import undisturbed
from farzi.training import check_history, make_model
from farzi.unroll import Check, Precision, State, check, compare_precision
from farzi.unroll.diagnostics.verdict import COSINE


def _check_sizes(recipe: Recipe, vocabulary: int) -> None:
    """Raise FarziError where one kind of arrays alone is larger than the machine's memory.

    Systems promise memory that they do not have, and end a process that uses it, hours later.
    """
    own = {name: value for name, value in recipe.student.own.items() if isinstance(value, int)}
    width, shape = own.get("hidden", 1), recipe.summary
    dim = getattr(shape.parametrization, "dim", 1)
    student = (vocabulary + shape.length + own.get("layers", 1) * width) * width
    numbers = {
        "student": student,
        "outer.pool": recipe.outer.pool * student,
        "outer.batch": recipe.outer.batch * shape.length * width,
        "inner.steps": recipe.inner.steps,
        "summary": (shape.sequences * shape.length + vocabulary) * dim,
    }
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else math.inf
    for name, count in numbers.items():
        if 4 * count > memory:
            raise FarziError(
                f"out of memory: a {name} of this size needs {4 * count / 2**30:,.0f} GiB at least, this "
                f"machine has {memory / 2**30:,.0f} GiB; `farzi plan` says what a recipe takes"
            )


def check_parts(recipe: Recipe, vocabulary: int = 1) -> None:
    """Raise FarziError where the parts of a recipe do not fit each other, before anything costly is done.

    With V, or without if it is not known yet, they must also fit into the machine's memory.
    """
    _check_sizes(recipe, vocabulary)
    rates = Rates.of(recipe.inner, recipe.outer.window)
    try:
        adjoint = recipe.outer.adjoint.build()
        if hasattr(adjoint, "check"):
            adjoint.check(rates.optimizer)
    except (TypeError, ValueError) as error:
        raise FarziError(f"outer.adjoint.type {recipe.outer.adjoint.type}: {error}") from None
    objective = recipe.outer.objective.build()
    if hasattr(objective, "check"):
        objective.check(recipe)
    if recipe.outer.rate_range > 1 and not hasattr(rates.optimizer, "learning_rate"):
        raise FarziError(
            f"outer.rate_range changes learning_rate, which {recipe.inner.optimizer.type} does not have; "
            "set it to 1"
        )
    parametrization: Parametrization = recipe.summary.parametrization.build()
    label_decoder = parametrization.label_decoder
    if recipe.init.type == "teacher":
        where = "summary.parametrization"
        if not label_decoder:
            raise FarziError(f"init.type teacher: gives soft labels, which need {where}.label_decoder")
        if parametrization.dim < 2:
            raise FarziError(f"init.type teacher: needs {where}.dim of 2 or more, not 1")
    if recipe.inner.soft_inputs == "materialized" and label_decoder:
        raise FarziError("inner.soft_inputs materialized: with a label decoder they are always factored")
    if recipe.inner.soft_inputs == "factored" and recipe.summary.parametrization.type == "full_logits":
        raise FarziError("inner.soft_inputs factored: full logits have no factors")
    if recipe.outer.students and getattr(recipe.outer.weights.build(), "trajectories", False):
        raise FarziError(
            f"outer.weights.type {recipe.outer.weights.type}: the recorded weights are of `student` alone; "
            "leave outer.students out"
        )
    _check_full_models(recipe)
    students = [recipe.student, *recipe.outer.students]
    for k, student in enumerate(students):
        if student in students[:k]:
            named = "the student already" if student == recipe.student else "there twice"
            raise FarziError(f"outer.students: {student.type} is {named}; name each of the others once")
        # a user's class: can it be called?
        check_history(make_model(student, 3, recipe.summary.length, recipe.seed), recipe.inner)
    make_model(recipe.full_model, 3, recipe.full_length, recipe.seed)
    for axis in (recipe.init, recipe.outer.weights, *recipe.compare.controls):
        axis.build()


def _check_full_models(recipe: Recipe) -> None:
    """Raise FarziError where full-data models do not fit what they are for."""
    same = recipe.full_model == recipe.student and recipe.full_length == recipe.summary.length
    if not same and any(training.record for training in full_trainings(recipe)):
        given = "teach.model" if recipe.full_model != recipe.student else "teach.length"
        raise FarziError(
            f"{given}: inner runs start from, or are compared with, weights of full-data models, which must "
            "then be the student, on windows as long as synthetic sequences; set it to null"
        )


@undisturbed()
def check_recipe(
    recipe: Recipe,
    *,
    dataset: Data | None = None,
    dtype: torch.dtype = torch.float32,
    directions: int = 3,
    progress: Progress | None = None,
    device: torch.device | str = "cpu",
) -> Check:
    """Check the metagradient of a recipe's first outer step; nothing is written.

    The data that are moved are the numbers that the outer loop changes, those of the summary's
    parametrization. One outer step moves each of them by the outer learning rate, as Adam's first one does.

    Args:
        recipe: the whole run.
        dataset: the log, if it is loaded already; else `recipe.data` is.
        dtype: the precision to try; distillation itself runs in float32.
        directions: see `farzi.unroll.check`.
        progress: receives what is being prepared.
        device: where the step is done.

    Raises:
        FarziError: parts of the recipe do not fit each other, or the data cannot be used.
    """
    check_parts(recipe)
    dataset = dataset or load_data(recipe.data)
    initial = initialise(recipe, dataset).to(device)
    recorded = [training for training in full_trainings(recipe) if training.record]
    if recorded:
        (progress or Progress()).message("training on the full data, where inner runs start")
    outcomes = [train_on_full_data(training, dataset, device, progress) for training in recorded]
    run = OuterLoop(recipe, dataset, initial, [outcome.trajectory for outcome in outcomes]).as_run()
    if run["state"] is not None:
        run["state"] = State(run["state"].step, tuple(slot.to(dtype) for slot in run["state"].slots))
    for name in ("theta0", "data"):
        run[name] = {key: value.to(dtype) for key, value in run[name].items()}
    return check(**run, outer_step=recipe.outer.learning_rate, directions=directions, seed=recipe.seed)


def short_check(loop: OuterLoop, unchecked: bool, progress: Progress, exact: bool = True) -> dict[str, Any]:
    """Compare the next step's metagradient with float64; nothing changes, nothing is drawn.

    A metagradient that is not finite is left to the outer loop, which reports it and gives up by itself. One
    of an adjoint that is not exact is measured, not refused.

    Returns:
        The comparison, as JSON values.

    Raises:
        FarziError: the precision is not enough, and not `unchecked`, which makes it a warning.
    """
    precision = compare_precision(**loop.as_run())
    if not exact:
        name, cosine = type(loop.adjoint).__name__, precision.cosine
        progress.message(f"the metagradient of {name} has a cosine of {cosine:.3g} with the exact one")
    elif precision.cosine < COSINE:
        if not unchecked:
            raise FarziError(f"the metagradient is {precision.verdict}; unchecked=True starts all the same")
        progress.warning(f"the metagradient is {precision.verdict}")
    return precision_values(precision)


def precision_values(precision: Precision) -> dict[str, Any]:
    """A comparison as JSON values."""
    return finite_values(dataclasses.asdict(precision) | {"dtype": precision.name})
