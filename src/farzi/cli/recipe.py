"""`farzi recipe`: print a recipe, and the differences between two."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from farzi.cli.options import Given, SettingsCommand, settings
from farzi.cli.output import say
from farzi.errors import FarziError

if TYPE_CHECKING:
    from farzi.recipe import Recipe


@click.group()
def recipe() -> None:
    """Print a recipe, or what two recipes differ in."""


@recipe.command("show", cls=SettingsCommand, short_help="Print every setting of a recipe as YAML.")
@click.argument("name", metavar="[log|text|paper|FILE|SUMMARY]", default="log")
@settings()
def show(name: str, given: Given) -> None:
    """Print every setting of a preset, a recipe file, or the recipe of a summary's folder, as YAML."""
    say(given.recipe(named_recipe(name)).to_yaml().rstrip())


@recipe.command("diff", short_help="Print the settings in which two recipes differ.")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
def diff(first: str, second: str) -> None:
    """Print one line per setting in which A and B differ: presets, recipe files or summaries' folders."""
    from farzi.recipe import differences

    lines = differences(named_recipe(first), named_recipe(second))
    say("\n".join(lines) if lines else "no difference")


def named_recipe(name: str) -> "Recipe":
    """The recipe of a preset, of a file, or in a summary's folder. Raises FarziError."""
    from farzi.recipe import load_recipe
    from farzi.recipe.explain import did_you_mean
    from farzi.recipe.presets import PRESETS

    if name in PRESETS:
        return PRESETS[name]
    path = Path(name) / "recipe.yaml" if Path(name).is_dir() else Path(name)
    if not path.exists():
        known = list(PRESETS)
        raise FarziError(f"{path}: no such file; presets are {', '.join(known)}{did_you_mean(name, known)}")
    return load_recipe(path)
