"""From a recipe's settings to the values that they name."""

import numpy as np

from farzi.data import Dataset
from farzi.distillation.clipping import RunningClip
from farzi.distillation.outer import Outer
from farzi.distillation.runs import Anew, Pool, Runs
from farzi.distillation.weights import Fresh, Mixed, Pretrained, Theta, Weights
from farzi.errors import FarziError
from farzi.recipe import Recipe
from farzi.summary import Gaussian, Summary, Transitions
from farzi.training import NextEvent, make_optimizer, make_student


def first_summary(recipe: Recipe, dataset: Dataset) -> Summary:
    """What the outer loop starts from.

    Raises:
        FarziError: the log is too small for it.
    """
    if dataset.train.lengths.max() < 2:
        raise FarziError(
            f"{dataset.name}: nobody has two training events, so there is no next event to learn; "
            "longer sequences or another --split are needed"
        )
    size = recipe.summary
    start = Transitions() if size.start == "transitions" else Gaussian()
    return start(
        size.sequences,
        size.length,
        size.dim,
        len(dataset.vocabulary),
        dataset.train,
        size.temperature,
        np.random.default_rng([recipe.seed, 0]),
    )


def outer_loop(
    recipe: Recipe, dataset: Dataset, start: Summary, clip: RunningClip, trajectory: list[Theta]
) -> Outer:
    """The outer loop before its first step.

    Args:
        recipe: the whole run.
        dataset: the log.
        start: the summary that it changes.
        clip: of the metagradient.
        trajectory: weights on the way of a full-data training; empty where inner runs begin with fresh ones.
    """
    student = make_student(recipe.student, len(dataset.vocabulary), recipe.summary.length, recipe.seed)
    loss = NextEvent(student)
    fresh = Fresh(loss, recipe.student, len(dataset.vocabulary), recipe.summary.length)
    match recipe.inner.weights:
        case "fresh":
            weights = fresh
        case "pretrained":
            weights = Pretrained(trajectory)
        case "mixed":
            weights = Mixed(fresh, Pretrained(trajectory))
    return Outer(
        start,
        loss,
        dataset.train,
        make_optimizer(recipe.inner),
        recipe.inner.window,
        _runs(recipe, weights),
        recipe.outer.batch,
        clip,
        recipe.seed,
    )


def _runs(recipe: Recipe, weights: Weights) -> Runs:
    inner = recipe.inner
    if inner.pool == 0:
        return Anew(weights, inner.steps, inner.window, inner.skip)
    return Pool(weights, inner.steps, inner.window, inner.skip, inner.pool)
