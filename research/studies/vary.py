"""A recipe with some settings changed, by the names that a user writes: `inner.learning_rate`."""

from collections.abc import Mapping, Sequence
from typing import Any

from farzi.recipe import Recipe
from farzi.recipe.models import WITH_OPTIMIZER
from farzi.recipe.student import StudentName, renamed

KINDS: tuple[StudentName, ...] = ("sasrec", "gru4rec", "fmlprec")
"""Students of logs, one of each kind."""

UNTAUGHT: Mapping[str, Any] = {"summary.targets": "events", "summary.teachers": (), "summary.classes": None}
"""Settings of a summary whose events are what is predicted, whatever it was taught by before."""


def varied(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """The recipe with these settings.

    What the former student, or the former optimizer, had for itself falls away where another one is named.

    Args:
        recipe: what is varied; it stays as it is.
        settings: values by dotted path, such as `{"summary.dim": 16}`.

    Raises:
        pydantic.ValidationError: a value that its setting does not allow, or no such setting.
    """
    values = recipe.model_dump(exclude_unset=True)
    name = settings.get("student.name")
    if name is not None:
        values["student"] = renamed(values.get("student", {}), name)
    if settings.get("inner.optimizer", recipe.inner.optimizer) != recipe.inner.optimizer:
        inner = values.get("inner", {})
        values["inner"] = {key: value for key, value in inner.items() if key not in WITH_OPTIMIZER}
    for path, value in settings.items():
        *groups, last = path.split(".")
        here = values
        for group in groups:
            here = here.setdefault(group, {})
        here[last] = value
    return Recipe.model_validate(values)


def learnt_with_all(recipe: Recipe, students: Sequence[str]) -> Recipe:
    """The recipe for a summary of all these students: learnt with each, and where it is taught, by each."""
    others = tuple(name for name in students if name != recipe.student.name)
    teachers = others if recipe.summary.taught else ()
    return varied(recipe, {"inner.students": others, "summary.teachers": teachers})
