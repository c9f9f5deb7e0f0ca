"""Everything needed to repeat a run, as validated values: settings, variants, presets, their YAML file."""

from farzi.recipe import presets as presets
from farzi.recipe import variants as variants
from farzi.recipe.changes import differences as differences
from farzi.recipe.changes import parse_change as parse_change
from farzi.recipe.explain import known_settings as known_settings
from farzi.recipe.loading import load_recipe as load_recipe
from farzi.recipe.loading import parse_recipe as parse_recipe
from farzi.recipe.recipe import Compare as Compare
from farzi.recipe.recipe import Grid as Grid
from farzi.recipe.recipe import Inner as Inner
from farzi.recipe.recipe import Outer as Outer
from farzi.recipe.recipe import Precision as Precision
from farzi.recipe.recipe import Recipe as Recipe
from farzi.recipe.recipe import Select as Select
from farzi.recipe.recipe import SummaryShape as SummaryShape
from farzi.recipe.recipe import Teach as Teach
from farzi.recipe.settings import Custom as Custom
from farzi.recipe.settings import Settings as Settings
from farzi.recipe.settings import Variant as Variant
