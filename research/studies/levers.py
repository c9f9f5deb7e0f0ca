"""What each part of the outer loop brings: the strong one with a part taken out or changed at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from farzi.recipe import Recipe, presets
from research.studies.recipes import Changes
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import Sweep, distilled_row, full_row, key_of

ADAMW = {"type": "adamw", "learning_rate": 0.02, "weight_decay": 0.3}

LEVERS: Mapping[str, Changes] = {
    "the strong outer loop": {},
    "no outer steps": {"outer.steps": 0},
    "AdamW, rate falling to 0": {"inner.optimizer": ADAMW, "inner.cooldown": 0.15},
    "Muon": {"inner.optimizer": {"type": "muon", "learning_rate": 0.02}},
    "loss on real events": {"outer.objective": {"type": "real_loss"}},
    "labels of the teacher alone": {"outer.objective.hard": 0.0},
    "labels half of real events": {"outer.objective.hard": 0.5},
    "windows from anywhere": {"outer.objective.windows": "random"},
    "starts from real windows": {"init.sequences": "real"},
    "no mean over outer steps": {"outer.average": 0.0},
    "K = 20": {"outer.window": 20},
    "half of the rank": {"summary.parametrization.dim": 16},
    "half of the outer rate": {"outer.learning_rate": 0.01},
    "a quarter of the outer steps": {"outer.steps": 300},
}
"""What changes in the recipe, by the name in the table."""


SIZE: Changes = {
    "summary.sequences": 10,
    "summary.length": 10,
    "inner.steps": 50,
    "outer.steps": 1200,
    "outer.learning_rate": 0.02,
    "outer.average": 0.99,
    "outer.objective.hard": 0.2,
    "select.every": 300,
}
"""With them the strong outer loop is that of research/recipes/ml-100k-10x10.yaml."""


def strong(recipe: Recipe) -> Recipe:
    """A recipe with that outer loop: itself, or the preset's with its data, in 10 x 10 events."""
    if recipe.outer.objective.type == "teacher_loss":
        return recipe
    return presets.LOG.changed({"seed": recipe.seed, "data": recipe.data, **SIZE})


def grid(setting: Setting) -> Sequence[Row]:
    """The full data, and a row for each lever."""
    setting = replace(setting, recipe=strong(setting.recipe))
    rows = [full_row(setting)]
    for name, changes in LEVERS.items():
        rows.append(distilled_row(setting, key_of("lever", name), {"outer loop": name}, changes))
    return rows


LEVERS_STUDY = Study(
    "levers",
    "What does each part of the outer loop bring?",
    grid,
    Sweep("outer loop", ("validation at start", "validation", "distil seconds")),
)
