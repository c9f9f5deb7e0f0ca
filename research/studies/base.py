"""What a study's rows vary where no recipe is named: the defaults, at a size that suits the data."""

from collections.abc import Mapping
from typing import Any

from farzi.data import complete
from farzi.recipe import DataSettings, Recipe

SIZES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "ml-1m": {"summary": {"sequences": 100, "length": 50}},
    "amazon-magazine": {"summary": {"sequences": 50, "length": 10}},
    "ptb": {"data": {"vocabulary_size": 2000}, "inner": {"window": 20}, "outer": {"minutes": 30.0}},
}
"""By the name of a data set; others have the defaults."""


def base_recipe(source: str, file: str | None = None) -> Recipe:
    """The recipe for a data set or a file.

    Args:
        source: as `DataSettings.source`.
        file: as `DataSettings.file`.
    """
    settings: dict[str, Any] = {name: dict(values) for name, values in SIZES.get(source, {}).items()}
    settings["data"] = {**settings.get("data", {}), "source": source, "file": file}
    return complete(Recipe.model_validate(settings))


def with_file(recipe: Recipe, file: str | None) -> Recipe:
    """The recipe with its data read from a copy at hand."""
    data: DataSettings = recipe.data.model_copy(update={"file": file})
    return recipe.model_copy(update={"data": data})
