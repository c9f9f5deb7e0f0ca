"""How a recipe's inner loop is carried out, and why."""

from collections.abc import Callable
from functools import partial

from farzi.models import SequenceModel
from farzi.recipe import Recipe
from farzi.unroll import Compiled, Eager, Execution, interpreter

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


def chosen_execution(recipe: Recipe, student: SequenceModel) -> tuple[str, str]:
    """How the inner loop's derivatives are carried out, one of `EXECUTIONS`, and why."""
    if recipe.outer.execution != "auto":
        return recipe.outer.execution, "the recipe says so"
    seconds = _eager_seconds(recipe, student)
    eager = f"some {seconds:.0f} s of eager steps"
    if seconds < TRACED:
        return "eager", f"{eager} do not repay tracing, from {TRACED:.0f} s on"
    if seconds < COMPILED:
        return "graph", f"{eager} repay tracing, not compiling, from {COMPILED:.0f} s on"
    return "compiled", f"{eager} repay compiling"


def _eager_seconds(recipe: Recipe, student: SequenceModel) -> float:
    """What all outer steps may take."""
    if recipe.outer.minutes is not None:
        return 60 * recipe.outer.minutes
    sequences = recipe.summary.sequences
    events = min(sequences, recipe.inner.batch or sequences) * recipe.summary.length
    parameters = sum(value.numel() for value in student.parameters())
    gradient = 2 * 3 * 2 * events * parameters  # products forward and back, the tables twice: in and out
    return recipe.outer.steps * recipe.outer.replicas * recipe.outer.window * 5 * gradient / SPEED
