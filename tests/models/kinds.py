"""The built-in models by their type in a recipe."""

from typing import Any, get_args

from pydantic import TypeAdapter

from farzi.recipe import Custom
from farzi.recipe.variants import Student, StudentVariant

TYPES = [kind.tag() for kind in get_args(StudentVariant) if kind is not Custom]


def settings(**own: Any) -> Any:
    """The settings of a model, from its type and its own settings, as in a recipe."""
    return TypeAdapter(Student).validate_python(own)
