"""Checks of a recipe's first metagradient: the whole check, and the short form that begins every run."""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from farzi.data import Data, load_data
from farzi.distillation.initialise import initialise
from farzi.distillation.progress import Progress
from farzi.distillation.refine import OuterLoop, check_parts
from farzi.distillation.teach import full_trainings, train_on_full_data
from farzi.errors import FarziError
from farzi.files import finite_values
from farzi.recipe import Recipe
from farzi.unroll import Check, Precision, State, check, compare_precision
from farzi.unroll.diagnostics.verdict import COSINE


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
    trajectories = []
    if recorded := [training for training in full_trainings(recipe) if training.record]:
        (progress or Progress()).message("training on the full data, where inner runs start")
        outcomes = [train_on_full_data(training, dataset, device, progress) for training in recorded]
        trajectories = [outcome.trajectory for outcome in outcomes]
    run = OuterLoop(recipe, dataset, initial, trajectories).as_run()
    state: State | None = run["state"]
    run["state"] = state and State(state.step, tuple(slot.to(dtype) for slot in state.slots))
    for name in ("theta0", "data"):
        tree: dict[str, Tensor] = run[name]
        run[name] = {key: value.to(dtype) for key, value in tree.items()}
    return check(**run, outer_step=recipe.outer.learning_rate, directions=directions, seed=recipe.seed)


def short_check(loop: OuterLoop, unchecked: bool, progress: Progress, exact: bool = True) -> dict[str, Any]:
    """Compare the next step's metagradient with float64; nothing changes, nothing is drawn.

    A metagradient that is not finite is left to the outer loop, which reports it and gives up by itself.

    Args:
        loop: the outer loop.
        unchecked: continue, with a warning, where the precision is not enough.
        progress: receives the warning.
        exact: whether the recipe's adjoint is exact; another one is measured, not refused.

    Returns:
        The comparison, as JSON values.

    Raises:
        FarziError: the precision is not enough.
    """
    precision = compare_precision(**loop.as_run())
    if not exact:
        name = type(loop.adjoint).__name__
        progress.message(
            f"the metagradient of {name} has a cosine of {precision.cosine:.3g} with the exact one"
        )
    elif precision.cosine < COSINE:
        if not unchecked:
            raise FarziError(f"the metagradient is {precision.verdict}; unchecked=True starts all the same")
        progress.warning(f"the metagradient is {precision.verdict}")
    return precision_values(precision)


def precision_values(precision: Precision) -> dict[str, Any]:
    """A comparison as JSON values."""
    return finite_values(dataclasses.asdict(precision) | {"dtype": precision.name})
