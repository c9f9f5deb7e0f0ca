"""Everything needed to repeat a run, as validated values: the models, and their YAML file."""

from farzi.recipe.compare import differences
from farzi.recipe.defaults import LOG_DEFAULTS, TEXT_DEFAULTS, Defaults, with_defaults
from farzi.recipe.loading import load_recipe, parse_recipe
from farzi.recipe.models import (
    TAUGHT,
    DataSettings,
    InnerSettings,
    OuterSettings,
    Recipe,
    SummarySettings,
)
from farzi.recipe.student import Settings, StudentSettings, another

__all__ = [
    "LOG_DEFAULTS",
    "TAUGHT",
    "TEXT_DEFAULTS",
    "DataSettings",
    "Defaults",
    "InnerSettings",
    "OuterSettings",
    "Recipe",
    "Settings",
    "StudentSettings",
    "SummarySettings",
    "another",
    "differences",
    "load_recipe",
    "parse_recipe",
    "with_defaults",
]
