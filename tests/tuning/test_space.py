"""Spaces: what they draw, what follows from it, and what is refused, in one line."""

import math
from pathlib import Path
from typing import Any

import pytest

from farzi.errors import FarziError
from farzi.recipe import Recipe, presets
from farzi.recipe.variants import AdamW, SASRec
from farzi.tuning import Space, load_space

optuna = pytest.importorskip("optuna")

TOML = """
[student]
type = {choices = ["sasrec", "gru4rec"]}
hidden = {type = "int", min = 16, max = 128, scale = "log"}
heads = {type = "int", min = 1, max = 4}

[inner.optimizer]
learning_rate = {type = "float", min = 0.001, max = 0.1, scale = "log"}
"""


def drawn(space: Space, count: int) -> list[dict[str, Any]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [space.suggest(study.ask()) for _ in range(count)]


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "space.toml"
    path.write_text(TOML)
    return path


def test_settings_are_drawn_for_the_architectures_that_have_them(toml: Path):
    for one in drawn(load_space(toml, presets.LOG), 30):
        assert ("student.heads" in one) == (one["student.type"] == "sasrec")
        assert 16 <= one["student.hidden"] <= 128
        load_space(toml, presets.LOG).changed(one)  # is a recipe


def test_a_setting_can_be_kept_to_some_architectures():
    space = load_space(
        {
            "student.type": {"choices": ["sasrec", "gru4rec"]},
            "student.layers": {"type": "int", "min": 1, "max": 3, "when": "gru4rec"},
        },
        presets.LOG,
    )
    assert {one["student.type"] for one in drawn(space, 20) if "student.layers" in one} == {"gru4rec"}


def test_full_data_models_follow_the_setting():
    space = load_space(
        {
            "student.hidden": {"choices": [30]},
            "inner.optimizer.learning_rate": {"choices": [0.04]},
        },
        presets.LOG,
    )
    recipe = space.changed({"student.hidden": 30, "inner.optimizer.learning_rate": 0.04})
    assert isinstance(recipe.full_model, SASRec)
    assert (recipe.full_model.hidden, recipe.full_model.heads) == (30, 2)
    assert isinstance(recipe.teach.optimizer, AdamW)
    assert recipe.teach.optimizer.learning_rate == pytest.approx(
        2e-3
    )  # twice the recipe's, as on the summary
    assert space.changed({"student.hidden": 33}).student.own["heads"] == 1


def test_the_recipes_own_setting_is_the_recipe_itself():
    for recipe in (presets.LOG, presets.TEXT, presets.PLAIN):
        space = load_space("default", recipe)
        assert set(space.own()) == {one.path for one in space.parameters}
        assert space.changed(space.own()) == recipe.changed({"teach.model": None})


def test_recboles_form_is_read(tmp_path: Path):
    path = tmp_path / "hyper.test"
    path.write_text(
        "inner.optimizer.learning_rate loguniform -5,-3\n# depth\nstudent.layers quniform 1,3,1\n"
        "student.hidden choice [32, 64]\nteach.dropout uniform 0.0,0.5\n"
    )
    found = {one.path: one for one in load_space(path, presets.LOG).parameters}
    rate = found["inner.optimizer.learning_rate"]
    assert (rate.low, rate.high, rate.log) == (math.exp(-5), math.exp(-3), True)
    assert (found["student.layers"].kind, found["student.layers"].step) == ("int", 1)
    assert found["student.hidden"].choices == (32, 64)
    assert (found["teach.dropout"].low, found["teach.dropout"].log) == (0.0, False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ('"student.hiden" = {choices = [3]}', "did you mean student.hidden"),
        ('learning_rate = {choices = [3]}', "did you mean inner.optimizer.learning_rate"),
        ('embedding_size = {choices = [3]}', "did you mean student.hidden"),
        ('[student]\nhidden = {type = "int", min = 0, max = 3}', ":2:1: student.hidden must be at least 1"),
        ('[student]\nhidden = {type = "int", min = 9, max = 3}', "min (9) is above max (3)"),
        ('[student]\nhidden = {type = "int", min = 1, maximum = 3}', "did you mean max"),
        ("[student]\nhidden = 3", "must be a table"),
        ("[student]\nhidden = {choices = []}", "choices"),
        ('[student]\ntype = {choices = ["sasreq"]}', "did you mean sasrec"),
        ('student = {choices = ["sasrec"]}', "student.type"),
        ('"outer.steps" = {type = "int", min = 10, max = 20}', "no effect on training on a summary"),
        ('"student.heads" = {choices = [1], when = "gru4rec"}', "leave it out"),
        ('"teach.dropout" = {type = "float", min = 0.0, max = 1.0}', "must be below 1"),
        ('"inner.optimizer.learning_rate" = {type = "float", min = 0, max = 1, scale = "log"}', "above 0"),
        ("a = [", "space.toml:1:6: not TOML"),
        ("a = 1\nb = = 2", "space.toml:2:5: not TOML"),
    ],
)  # fmt: skip
def test_a_wrong_space_is_one_line(tmp_path: Path, text: str, said: str):
    path = tmp_path / "space.toml"
    path.write_text(text)
    with pytest.raises(FarziError) as error:
        load_space(path, presets.LOG)
    assert said in str(error.value)
    assert "space.toml" in str(error.value)


def test_a_setting_of_no_architecture_is_refused():
    with pytest.raises(FarziError, match="none of gru4rec"):
        load_space({"student.type": {"choices": ["gru4rec"]}, "student.heads": {"choices": [1]}}, Recipe())
