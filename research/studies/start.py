"""Initializers: summaries that start from each, before and after the outer loop."""

from collections.abc import Mapping, Sequence
from typing import Any

from farzi.recipe import Recipe
from farzi.recipe.variants import TextData
from research.studies.recipes import ARCHITECTURES, NO_LABEL_DECODER, Changes, of_architecture
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import Sweep, distilled_row, full_row, key_of

WITHOUT_LABEL_DECODER = ("transitions", "classes", "random")
"""Initializers of summaries whose soft labels are their soft inputs."""


def grid(setting: Setting) -> Sequence[Row]:
    """The full data, a summary from each initializer, those with a label decoder, and more teachers."""
    recipe, rows = setting.recipe, [full_row(setting)]
    for name in WITHOUT_LABEL_DECODER:
        changes = {**NO_LABEL_DECODER, "init": {"type": name}}
        rows.append(distilled_row(setting, key_of("start", name), {"start": name}, changes))
    for name, init in with_label_decoder(recipe).items():
        labels = {"start": f"{name}, own targets"}
        rows.append(distilled_row(setting, key_of("start", f"{name}-own"), labels, _initialised(init)))
    for number, init in with_more_teachers(recipe).items():
        labels = {"start": f"taught by {number}"}
        key = key_of("taught-by", number.replace(" ", "-"))
        rows.append(distilled_row(setting, key, labels, _initialised(init)))
    return rows


def with_label_decoder(recipe: Recipe) -> Mapping[str, dict[str, Any]]:
    """Initializers of summaries with a label decoder, by the names in the table."""
    one = {"type": "teacher", "teachers": 1, "others": (), "classes": recipe.init.own.get("classes")}
    return {
        "taught": {**one, "cluster_by": "context"},
        "taught-alike": {**one, "cluster_by": "embeddings"},
        "transitions": {"type": "transitions"},
    }


def with_more_teachers(recipe: Recipe) -> Mapping[str, dict[str, Any]]:
    """Initializers with several teachers, by their number."""
    student, classes = recipe.student, recipe.init.own.get("classes")
    cluster_by = "embeddings" if isinstance(recipe.data, TextData) else "context"
    same = {"type": "teacher", "classes": classes, "cluster_by": cluster_by}
    initializers = {"three": {**same, "teachers": 3, "others": ()}}
    if student.type in ARCHITECTURES:
        others = tuple(of_architecture(student, name) for name in ARCHITECTURES if name != student.type)
        initializers["three kinds"] = {**same, "teachers": 1, "others": others}
    return initializers


def _initialised(init: dict[str, Any]) -> Changes:
    return {"summary.parametrization.label_decoder": True, "init": init}


START = Study(
    "start",
    "What should a summary start from?",
    grid,
    Sweep("start", ("validation at start", "validation"), more=(("Before learning", "validation at start"),)),
)
