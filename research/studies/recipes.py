"""The recipes that studies vary, and changes of a recipe that several studies share.

A change maps dotted paths to values, as `Recipe.changed` takes it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from farzi.data import is_text_source
from farzi.recipe import Recipe, presets
from farzi.recipe.settings import variants_of
from farzi.recipe.variants import LogData, OptimizerVariant, StudentVariant, TextData

Changes = dict[str, Any]

ARCHITECTURES = ("sasrec", "gru4rec", "fmlprec")
"""Students for logs, one of each architecture."""

SIZES: Mapping[str, Changes] = {
    "ml-1m": {"summary.sequences": 100, "summary.length": 50},
    "amazon-magazine": {"summary.sequences": 50, "summary.length": 10},
    "ptb": {"data.vocabulary_size": 2000, "outer.minutes": 30.0},
}
"""What differs from the preset, by the name of a data set."""

NO_LABEL_DECODER: Changes = {"summary.parametrization.label_decoder": False}
"""A summary whose soft labels are its soft inputs; no teacher can initialise it."""


def base_recipe(source: str, file: str | None = None) -> Recipe:
    """The preset for a text, or the plain one for a log, at a size that suits it. All outer steps are taken.

    Args:
        source: a named data set or a file.
        file: a local copy of it.
    """
    preset = presets.TEXT if is_text_source(source) else presets.PLAIN
    changes = {"data.source": source, "data.file": file, "outer.probe": None}
    return preset.changed({**changes, **SIZES.get(source, {})})


def with_file(recipe: Recipe, file: str | None) -> Recipe:
    """The recipe with its data read from a local copy."""
    if not isinstance(recipe.data, LogData | TextData):
        return recipe
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"file": file})})


def without_teachers(recipe: Recipe) -> Changes:
    """The change of the initializer to the one that suits the data best among those without teachers."""
    return {"init": {"type": "classes" if isinstance(recipe.data, TextData) else "transitions"}}


def with_all(recipe: Recipe, names: Sequence[str]) -> Recipe:
    """The recipe for a summary made with several architectures: each is differentiated in turn, and each
    teaches the initial summary if the recipe has teachers.
    """
    others = tuple(of_architecture(recipe.student, name) for name in names if name != recipe.student.type)
    teachers = {"init.teachers": 1, "init.others": others} if recipe.init.type == "teacher" else {}
    return recipe.changed({"outer.students": others, **teachers})


def of_architecture(student: StudentVariant, name: str) -> StudentVariant:
    """The student of another architecture with the same settings, less those that it does not have."""
    known = {one.tag(): one.model_fields for one in variants_of(Recipe.model_fields["student"])}
    own = {key: value for key, value in student.own.items() if key in known[name]}
    return Recipe.model_validate({"student": {"type": name, **own}}).student


def rate_of(optimizer: OptimizerVariant) -> float:
    """An optimizer's learning rate; nan if it has none."""
    return float(optimizer.own.get("learning_rate", float("nan")))


def at_rate(optimizer: OptimizerVariant, rate: float) -> OptimizerVariant:
    """The optimizer at another learning rate."""
    return optimizer.model_copy(update={"learning_rate": rate})
