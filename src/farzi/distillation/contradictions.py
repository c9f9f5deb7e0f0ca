"""Settings of a recipe that are each allowed, but not together."""

from farzi.errors import FarziError
from farzi.recipe import TAUGHT, Recipe


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
    if recipe.summary.start in TAUGHT and recipe.summary.targets == "events":
        raise FarziError(f"--start {recipe.summary.start} is of targets: give --targets own as well")
    if recipe.summary.teachers and not recipe.summary.taught:
        raise FarziError("--teachers give targets: --targets own and a start that is taught go with them")
    if recipe.summary.targets == "own":
        if recipe.summary.form == "table":
            raise FarziError("--targets own is a second decoder, and --form table has none; leave one out")
        if recipe.summary.dim < 2 and recipe.summary.taught:
            raise FarziError("--targets own with a start that is taught needs --dim 2 at least")
        if inner.soft_events == "whole":
            raise FarziError("--targets own are made from factors: leave --soft-events out")
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
