"""Checks of a recipe's first metagradient: the whole check, and the short form that begins every run."""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from farzi.data import Data, load_data
from farzi.distillation.build import first_summary, outer_loop
from farzi.distillation.clipping import RunningClip
from farzi.distillation.contradictions import refuse_contradictions
from farzi.distillation.outer import Outer
from farzi.distillation.progress import Progress
from farzi.distillation.reference import References, needs_trajectories
from farzi.errors import FarziError
from farzi.files import finite_values
from farzi.recipe import Recipe
from farzi.unroll import Check, Precision, State, check, compare_precision
from farzi.unroll.verdict import COSINE


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

    The data that are moved are the numbers that are learnt: the summary's latents and decoder, or those of
    its form. One outer step moves each of them by the outer learning rate, as Adam's first one does.

    Args:
        recipe: the whole run.
        dataset: the log, if it is loaded already; else `recipe.data` is.
        dtype: the precision to try; distillation itself runs in float32.
        directions: see `farzi.unroll.check`.
        progress: hears what is being prepared.
        device: where the step is done.

    Raises:
        FarziError: the recipe contradicts itself, or the log cannot be used.
    """
    refuse_contradictions(recipe)
    dataset = dataset or load_data(recipe.data)
    start = first_summary(recipe, dataset).to(device)
    trajectories = []
    if needs_trajectories(recipe):
        (progress or Progress()).message("training on the full data, where inner runs begin")
        trajectories = References()(recipe, dataset, device, progress).trajectories
    run = outer_loop(recipe, dataset, start, RunningClip(), trajectories).as_run()
    state: State | None = run["state"]
    run["state"] = state and State(state.step, tuple(slot.to(dtype) for slot in state.slots))
    for name in ("theta0", "data"):
        tree: dict[str, Tensor] = run[name]
        run[name] = {key: value.to(dtype) for key, value in tree.items()}
    return check(**run, outer_step=recipe.outer.learning_rate, directions=directions, seed=recipe.seed)


def short_check(outer: Outer, unchecked: bool, progress: Progress, gradient: str = "exact") -> dict[str, Any]:
    """Compare the next step's metagradient with float64; nothing moves, nothing is drawn.

    A metagradient that is not finite is left to the outer loop: it is not silent, and that gives up on it by
    itself.

    Args:
        outer: the outer loop.
        unchecked: go on, with a warning, where the precision is not enough.
        progress: hears the warning.
        gradient: which metagradient the recipe asks for; one that is not exact is measured, not refused.

    Returns:
        What was found, as JSON values.

    Raises:
        FarziError: the precision is not enough.
    """
    found = compare_precision(**outer.as_run())
    if gradient != "exact":
        progress.message(
            f"the metagradient of {gradient} has a cosine of {found.cosine:.3g} with the exact one"
        )
    elif found.cosine < COSINE:
        if not unchecked:
            raise FarziError(f"the metagradient is {found.verdict}; --unchecked goes on all the same")
        progress.warning(f"the metagradient is {found.verdict}")
    return precision_values(found)


def precision_values(found: Precision) -> dict[str, Any]:
    """A comparison as JSON values."""
    return finite_values(dataclasses.asdict(found) | {"dtype": found.name})
