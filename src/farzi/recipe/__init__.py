"""Everything needed to repeat a run, as validated values: the models, and their YAML file."""

from farzi.recipe.compare import differences
from farzi.recipe.loading import load_recipe, parse_recipe
from farzi.recipe.models import (
    DataSettings,
    InnerSettings,
    OuterSettings,
    Recipe,
    SummarySettings,
)
from farzi.recipe.student import Settings, StudentSettings, another
from farzi.recipe.texts import TEXT_DEFAULTS, for_text

__all__ = [
    "TEXT_DEFAULTS",
    "DataSettings",
    "InnerSettings",
    "OuterSettings",
    "Recipe",
    "Settings",
    "StudentSettings",
    "SummarySettings",
    "another",
    "differences",
    "for_text",
    "load_recipe",
    "parse_recipe",
]
