"""Changes of a recipe by path, and the differences of two."""

from typing import Any

import pytest

from farzi.errors import FarziError
from farzi.recipe import (
    Inner,
    Outer,
    Recipe,
    Select,
    SummaryShape,
    differences,
    parse_change,
    presets,
)
from farzi.recipe import variants as v


def change_refusal(changes: dict[str, Any]) -> str:
    with pytest.raises(FarziError) as caught:
        Recipe().changed(changes)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_changes_are_by_path():
    recipe = Recipe().changed(
        {
            "inner.optimizer.weight_decay": 0.2,
            "summary.parametrization": {"type": "tucker", "sequence_rank": 3},
            "init": "random",
            "outer": Outer(steps=3),
            "select": {"students": 5},
        }
    )
    assert recipe == Recipe(
        inner=Inner(optimizer=v.AdamW(weight_decay=0.2)),
        summary=SummaryShape(parametrization=v.Tucker(sequence_rank=3)),
        init=v.RandomInit(),
        outer=Outer(steps=3),
        select=Select(students=5),
    )
    assert Recipe() == presets.PLAIN  # a recipe does not change


def test_a_type_is_changed_before_its_settings():
    changes: dict[str, Any] = {"inner.optimizer.momentum": 0.8, "inner.optimizer.type": "momentum"}
    assert Recipe().changed(changes).inner.optimizer == v.Momentum(momentum=0.8)


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("inner.steps", 0, "inner.steps must be at least 1, not 0"),
        ("inner.steps", "many", 'inner.steps must be a whole number, not "many"'),
        ("inner.steps.more", 3, "inner.steps must be a whole number, not a group"),
        ("inner.stepz", 3, "unknown key inner.stepz; did you mean inner.steps?"),
        ("inner", {"stepz": 3}, "unknown key inner.stepz; did you mean inner.steps?"),
        (
            "inner.optimizer",
            {"type": "sgd", "beta1": 0.5},
            "unknown key inner.optimizer.beta1: sgd has no beta1, only adam, adamw, schedule_free and muon "
            "have; leave it out",
        ),
        ("optimizer", "sgd", None),
        ("", 3, None),
        (
            "outer.window",
            500,
            "outer.window (500) is longer than inner.steps (400); shorten it",
        ),
    ],
)
def test_a_change_that_cannot_be_made_is_refused_in_one_line(path: str, value: Any, line: str | None):
    refused = change_refusal({path: value})
    assert refused == line or (line is None and refused.startswith(f"unknown key {path}; "))


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("inner.steps=200", "inner.steps", 200),
        ("outer.learning_rate=1e-3", "outer.learning_rate", 1e-3),
        ("data.user=", "data.user", None),
        ("data.user='3'", "data.user", "3"),
        ("data.source=a=b.csv", "data.source", "a=b.csv"),
        ("outer.students=[gru4rec, fmlprec]", "outer.students", ("gru4rec", "fmlprec")),
        ("init={type: teacher, teachers: 1}", "init", {"type": "teacher", "teachers": 1}),
    ],
)
def test_a_change_is_read_as_yaml(text: str, path: str, value: Any):
    assert parse_change(text) == (path, value)
    Recipe().changed(dict([parse_change(text)]))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("inner.steps", '"inner.steps": a setting is given as path=value, as in inner.steps=200'),
        ("=3", '"=3": a setting is given as path=value, as in inner.steps=200'),
        ("seed=[1", 'seed: the value "[1" cannot be read as YAML'),
        (
            "seed=!!python/name:os.system ",
            'seed: the value "!!python/name:os.system " cannot be read as YAML',
        ),
        ("seed=" + "9" * 5000, 'seed: the value "' + "9" * 38 + "… cannot be read as YAML"),
        ("seed=" + "[" * 5000, 'seed: the value "' + "[" * 38 + "… cannot be read as YAML"),
    ],
)
def test_a_change_that_cannot_be_read_is_refused_in_one_line(text: str, line: str):
    with pytest.raises(FarziError) as caught:
        parse_change(text)
    assert str(caught.value) == line


def test_where_a_copy_lies_and_how_summaries_are_compared_is_no_difference():
    here, there = Recipe(data=v.LogData(file="a")), Recipe(data=v.LogData(file="b"))
    assert differences(here, there) == []
    assert differences(here, here.changed({"compare.seeds": 9, "compare.controls": ("herding",)})) == []


def test_differences_name_each_setting_with_both_values():
    other = Recipe(
        seed=1, data=v.LogData(user="u"), inner=Inner(steps=50), outer=Outer(students=(v.GRU4Rec(),))
    )
    assert differences(Recipe(), Recipe()) == []
    assert differences(Recipe(inner=Inner(steps=100)), other) == [
        "seed: 0 -> 1",
        'data.user: null -> "u"',
        "inner.steps: 100 -> 50",
        'outer.students: [] -> [{"type": "gru4rec", "hidden": 32, "lay…',
    ]
    assert differences(Recipe(), Recipe(inner=Inner(optimizer=v.SGD()))) == [
        'inner.optimizer.type: "adamw" -> "sgd"',
        "inner.optimizer.weight_decay: 0.1 -> 0.0",
        "inner.optimizer.beta1: 0.9 -> null",
        "inner.optimizer.beta2: 0.999 -> null",
        "inner.optimizer.epsilon: 1e-05 -> null",
    ]


def test_a_recipe_may_be_without_a_full_data_model_again():
    recipe = Recipe().changed({"teach.model": {"type": "gru4rec", "hidden": 8}, "teach.length": 50})
    assert (recipe.full_model.type, recipe.full_length) == ("gru4rec", 50)
    assert recipe.changed({"teach.model.hidden": 9}).full_model.own["hidden"] == 9
    again = recipe.changed({"teach.model": None, "teach.length": None})
    assert again == Recipe()
    assert (again.full_model, again.full_length) == (again.student, again.summary.length)
    assert recipe.changed({"student": None}).student == recipe.student  # every other group stays
