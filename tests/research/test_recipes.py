"""The recipes of the studies and of other distillers: their sizes, and what they change."""

from pathlib import Path

import pytest

from farzi.distillation.check import check_parts
from farzi.recipe import Recipe, differences, load_recipe
from research.studies.headline import paper_method

RECIPES = Path(__file__).parents[2] / "research" / "recipes"
SIZES = sorted(RECIPES.glob("*.yaml"))
DISTILLERS = sorted((RECIPES / "distillers").glob("*.yaml"))


@pytest.mark.parametrize("path", SIZES, ids=lambda path: path.stem)
def test_a_recipe_has_the_size_in_its_name(path: Path):
    recipe = load_recipe(path)
    assert path.stem.startswith(recipe.source.rpartition(":")[2].lower())
    assert path.stem.endswith(f"-{recipe.summary.sequences}x{recipe.summary.length}")
    assert recipe.outer.burn_in + recipe.outer.window <= recipe.inner.steps
    assert getattr(recipe.data, "file", None) is None


@pytest.mark.parametrize("path", DISTILLERS, ids=lambda path: path.stem)
def test_a_recipe_can_be_used(path: Path):
    recipe = load_recipe(path)
    check_parts(recipe)
    assert path.stem.startswith(f"ml-100k-{recipe.summary.sequences}x{recipe.summary.length}-")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("table", {"summary.parametrization.type", "summary.parametrization.label_decoder"}),
        (
            "tucker",
            {f"summary.parametrization.{name}" for name in ("type", "sequence_rank", "position_rank")},
        ),
        ("algorithm-1", {f"outer.adjoint.{name}" for name in ("type", "dtype", "memory.type")}),
        ("rat-bptt", {"outer.pool", "outer.burn_in"}),
        ("first-order", {"outer.objective.type", "outer.objective.penalty"}),
    ],
)
def test_other_distillers_differ_from_the_papers_in_one_thing(name: str, settings: set[str]):
    ours: Recipe = load_recipe(RECIPES / "distillers" / "ml-100k-50x20-events.yaml")
    theirs = load_recipe(RECIPES / "distillers" / f"ml-100k-50x20-{name}.yaml")
    assert {line.split(":")[0] for line in differences(ours, theirs)} == settings


def test_the_papers_method_is_the_same_in_its_recipe_and_in_the_headline():
    ours = load_recipe(RECIPES / "ml-100k-50x20.yaml")
    theirs = load_recipe(RECIPES / "distillers" / "ml-100k-50x20-events.yaml")
    changed = differences(ours.changed(paper_method(ours)), theirs)
    assert {line.split(":")[0] for line in changed} == {"outer.steps"}
