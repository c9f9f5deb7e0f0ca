"""The axes of a recipe: built-in variants, variants of the user's, and what a recipe may construct."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest
import torch

from farzi.errors import FarziError
from farzi.recipe import Custom, Inner, Recipe, Settings, Teach, Variant, differences, parse_recipe, presets
from farzi.recipe import variants as v
from farzi.recipe.settings import variants_of
from farzi.unroll import SGD, Optimizer

AXES = {
    "data": "data",
    "split": "data.split",
    "student": "student",
    "optimizer": "inner.optimizer",
    "teach": "teach.optimizer",
    "parametrization": "summary.parametrization",
    "init": "init",
    "weights": "outer.weights",
    "objective": "outer.objective",
    "adjoint": "outer.adjoint",
    "memory": "outer.adjoint.memory",
    "other": "outer.students",
    "control": "compare.controls",
}
"""Every axis, and where it is in a recipe."""


def axis_fields(
    model: type[Settings] = Recipe, path: str = ""
) -> Iterator[tuple[str, tuple[type[Variant], ...]]]:
    for name, field in model.model_fields.items():
        here = f"{path}{name}"
        if found := variants_of(field):
            yield here, found
            for one in found:
                yield from axis_fields(one, f"{here}.")
        elif isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            yield from axis_fields(field.annotation, f"{here}.")


LISTS: dict[str, tuple[type[Variant], ...]] = {
    "outer.students": (v.SASRec, v.GRU4Rec, v.FMLPRec, v.Transformer, v.GRU, v.LSTM),
    "compare.controls": (v.RandomControl, v.HeadControl, v.HerdingControl, v.KCentreControl),
}


def built_in() -> list[type[Variant]]:
    return list(
        dict.fromkeys([one for _, found in axis_fields() for one in found] + [*sum(LISTS.values(), ())])
    )


def test_every_axis_is_tested():
    assert {path for path, _ in axis_fields()} | set(LISTS) == set(AXES.values())


def test_every_variant_has_a_description_and_names_what_implements_it():
    for variant in built_in():
        assert (variant.__doc__ or "").strip().endswith("."), variant
        if variant not in (v.LogData, v.TextData):  # data is read by functions
            assert variant.implementation.startswith("farzi."), variant


def at(recipe: Recipe, path: str) -> Any:
    value: Any = recipe
    for name in path.split("."):
        value = getattr(value, name)
    return value


EVERY = [(path, one) for path, found in [*axis_fields(), *LISTS.items()] for one in found]


@pytest.mark.parametrize(("path", "variant"), EVERY, ids=[f"{path}={one.tag()}" for path, one in EVERY])
def test_every_built_in_variant_goes_through_yaml_unchanged(path: str, variant: type[Variant]):
    chosen: Any = variant()
    base = presets.TEXT if variant in (v.PositionSplit, v.RandomSplit) else Recipe()
    recipe = base.changed({path: (chosen,) if path in LISTS else chosen})
    assert at(recipe, path) == ((chosen,) if path in LISTS else chosen)
    if path in LISTS or at(base, path).type != variant.tag():
        assert recipe == base.changed({path: (variant.tag(),) if path in LISTS else variant.tag()})
    assert parse_recipe(recipe.to_yaml(), "r.yaml") == recipe


@dataclasses.dataclass(frozen=True)
class Halved(Optimizer):
    """An optimizer of somebody else's."""

    learning_rate: float = 0.1
    powers: tuple[int, ...] = (1, 2)

    slots = 0

    def update(self, gradient: Any, state: Any, theta: Any) -> Any:
        return theta - self.learning_rate * gradient / 2, state._replace(step=state.step + 1)


class Whole:
    """An initializer that is neither a dataclass nor a pydantic model."""

    def __init__(self, share: float = 1.0) -> None:
        self.share = share

    def __call__(self, size: Any, log: Any, rng: Any, teachers: Any) -> Any: ...


class Counted(pydantic.BaseModel):
    """A control that is a pydantic model."""

    count: int = 3

    def __call__(self, log: Any, length: int, count: int, rng: Any) -> Any: ...


HALVED = f"{__name__}:Halved"


def test_a_variant_of_the_users_is_named_by_module_and_class():
    text = f"inner:\n  optimizer: {{type: '{HALVED}', learning_rate: 0.3, powers: [3, 1]}}"
    recipe = parse_recipe(text, "r.yaml")
    assert isinstance(recipe.inner.optimizer, Custom)
    assert recipe.inner.optimizer.own == {"learning_rate": 0.3, "powers": (3, 1)}
    assert recipe.inner.optimizer.build() == Halved(0.3, (3, 1))
    assert parse_recipe(recipe.to_yaml(), "r.yaml") == recipe


@pytest.mark.parametrize("form", ["bare type", "class", "object", "Custom"])
def test_a_variant_of_the_users_goes_through_yaml_unchanged(form: str):
    given: Any = {
        "bare type": HALVED,
        "class": Halved,
        "object": Halved(0.3, (5,)),
        "Custom": Custom.of(Halved, learning_rate=0.3),
    }[form]
    recipe = Recipe(inner=Inner(optimizer=given))
    expected = {"object": Halved(0.3, (5,)), "Custom": Halved(0.3)}.get(form, Halved())
    assert recipe.inner.optimizer.build() == expected
    again = parse_recipe(recipe.to_yaml(), "r.yaml")
    assert again == recipe
    assert again.inner.optimizer.build() == expected
    assert differences(again, recipe) == []
    assert recipe == Recipe().changed({"inner.optimizer": given})
    assert recipe.changed({"seed": 1}).inner.optimizer.build() == expected


def test_variants_of_the_users_are_given_in_lists_too():
    recipe = Recipe().changed({"compare.controls": ("random", Counted(count=5), Counted)})
    assert [one.type for one in recipe.compare.controls] == ["random", *[f"{__name__}:Counted"] * 2]
    assert [one.build() for one in recipe.compare.controls[1:]] == [Counted(count=5), Counted()]
    assert parse_recipe(recipe.to_yaml(), "r.yaml") == recipe


def test_a_setting_of_a_variant_of_the_users_is_changed_like_any_other():
    recipe = Recipe(inner=Inner(optimizer=Custom.of(Halved(0.3, (5,)))))
    changed = recipe.changed({"inner.optimizer.learning_rate": 0.7})
    assert changed.inner.optimizer.build() == Halved(0.7, (5,))
    assert differences(recipe, changed) == ["inner.optimizer.learning_rate: 0.3 -> 0.7"]


def test_a_class_that_no_module_has_is_used_from_python():
    @dataclasses.dataclass(frozen=True)
    class Local(Halved):
        """Known to this function only."""

    recipe = Recipe().changed({"inner.optimizer": Local(0.4)}).changed({"inner.steps": 100})
    assert recipe.inner.optimizer.build() == Local(0.4)
    read = parse_recipe(recipe.to_yaml(), "r.yaml")
    assert read == recipe
    with pytest.raises(FarziError, match="cannot be imported"):
        read.inner.optimizer.build()


def test_an_object_whose_settings_cannot_be_read_is_refused():
    line = (
        "^init: Whole must be a dataclass or a pydantic model, whose fields are its settings, or be given as"
    )
    with pytest.raises(FarziError, match=line):
        Recipe().changed({"init": Whole(0.5)})
    assert Recipe(init=Custom.of(Whole, share=0.5)).init.build().share == 0.5


@pytest.mark.parametrize(
    ("value", "named"),
    [(torch.zeros(2), "a Tensor"), (print, "a builtin_function_or_method"), (float("nan"), "the number nan")],
)
def test_an_object_whose_settings_are_no_plain_values_is_refused(value: Any, named: str):
    line = f"^inner.optimizer: learning_rate is {named}, which no recipe can hold$"
    with pytest.raises(FarziError, match=line):
        Recipe().changed({"inner.optimizer": Halved(value)})


# What a recipe may construct


@pytest.mark.parametrize("path", AXES.values())
@pytest.mark.parametrize("named", ["os:system", "subprocess:Popen", "builtins:dict", "collections:Counter"])
def test_a_class_that_is_not_of_the_axis_kind_is_never_called(path: str, named: str, tmp_path: Path):
    """Reading imports nothing; building refuses before anything is called."""
    value: Any = {"type": named, "args": ["touch", str(tmp_path / "made")]}
    recipe = Recipe().changed({path: (value,) if path in LISTS else value})
    recipe = parse_recipe(recipe.to_yaml(), "r.yaml")
    variant = at(recipe, path)[0] if path in LISTS else at(recipe, path)
    with pytest.raises(FarziError) as caught:
        variant.build()
    assert str(caught.value).startswith(f"type {named}: is no")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


HOSTILE = "inner: {optimizer: {type: 'os:system', command: 'touch made'}}\ninit: {type: 'antigravity:fly'}\n"


def test_a_recipe_of_somebody_elses_imports_nothing_when_it_is_read(tmp_path: Path):
    (tmp_path / "r.yaml").write_text(HOSTILE.replace("os:system", "harmful:Thing"))
    (tmp_path / "harmful.py").write_text("open('imported', 'w')")
    code = (
        "import sys; sys.path.insert(0, '.'); from farzi.recipe import load_recipe; "
        "before = set(sys.modules); load_recipe('r.yaml').to_yaml(); print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "harmful" not in done.stdout
    assert "antigravity" not in done.stdout
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize(
    ("named", "line"),
    [
        ("os:system", "is not a class"),
        ("no_such_module:Thing", "cannot be imported: No module named 'no_such_module'"),
        ("farzi.unroll:NoSuch", "cannot be imported: module 'farzi.unroll' has no attribute 'NoSuch'"),
        (":Thing", "cannot be imported: invalid format: ':Thing'"),
        ("farzi.unroll:", "is not a class"),
        ("subprocess:Popen", "is no optimizer: must be a subclass of farzi.unroll.Optimizer"),
        ("torch.optim:Adam", "is no optimizer: must be a subclass of farzi.unroll.Optimizer"),
    ],
)
def test_a_type_that_cannot_be_used_is_refused_in_one_line(named: str, line: str):
    recipe = Recipe(inner=Inner(optimizer=named))  # type: ignore[arg-type]
    with pytest.raises(FarziError) as caught:
        recipe.inner.optimizer.build()
    assert str(caught.value) == f"type {named}: {line}"


def test_settings_that_a_class_does_not_take_are_refused_in_one_line():
    recipe = Recipe(inner=Inner(optimizer=Custom.of(Halved, speed=3)))
    with pytest.raises(FarziError, match=rf"^type {HALVED}: does not take these settings: .*'speed'; "):
        recipe.inner.optimizer.build()


def test_one_optimizer_is_the_engines_and_the_other_pytorchs():
    recipe = Recipe(
        teach=Teach(optimizer=Custom.of(torch.optim.Rprop, lr=0.1)),
        inner=Inner(optimizer=Custom.of(SGD(0.1))),
    )
    weights = [torch.nn.Parameter(torch.zeros(2))]
    assert isinstance(recipe.teach.optimizer.build(weights), torch.optim.Rprop)
    assert recipe.inner.optimizer.build() == SGD(0.1)
    with pytest.raises(FarziError, match=r"must be a subclass of torch\.optim\.Optimizer$"):
        Teach(optimizer=Custom.of(SGD(0.1))).optimizer.build(weights)


def test_equal_recipes_are_one_value():
    assert hash(presets.LOG) == hash(parse_recipe("", "r.yaml"))
    assert Recipe().changed({"init": Whole}) == Recipe(init=Custom.of(Whole))
    assert Recipe(init=Custom.of(Whole)) != Recipe(init=Custom.of(Whole, share=0.5))
