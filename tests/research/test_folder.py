"""What a study was begun with holds until it is begun anew."""

import pytest

from farzi.errors import FarziError
from farzi.recipe import Recipe
from farzi.recipe.variants import SGD, GRU4Rec, Transformer
from research.studies import Setting, Wanted, begin, recorded, save_setting
from research.studies.recipes import of_architecture


def test_what_was_begun_with_holds(tmp_path, toy):
    wanted = Wanted(source="ml-100k", file="/somewhere/u.data", seeds=4, outer_steps=7, max_steps=50)
    setting = begin(toy, tmp_path / "new", wanted)
    save_setting(toy, tmp_path / "new", setting)
    assert (setting.seeds, setting.recipe.outer.steps, setting.recipe.teach.max_steps) == (4, 7, 50)
    again = begin(toy, tmp_path / "new", Wanted(file="/elsewhere/u.data"))
    assert getattr(again.recipe.data, "file", None) == "/elsewhere/u.data"
    assert (again.seeds, again.recipe.outer.steps, again.recipe.teach) == (4, 7, setting.recipe.teach)
    assert "somewhere" not in (tmp_path / "new" / "study.json").read_text()


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted(seeds=5), "seeds: 3 -> 5"),
        (Wanted(outer_steps=9), "outer.steps: 150 -> 9"),
        (Wanted(minutes=2.0), "outer.minutes: null -> 2"),
        (Wanted(changes={"data.min_user_events": 5}), "data.min_user_events: 3 -> 5"),
        (Wanted(source="movielens-small"), "data.source"),
        (Wanted(recipe=Recipe(seed=3), source="ml-100k"), "seed: 0 -> 3"),
    ],
)
def test_other_settings_are_refused_by_name(tmp_path, toy, wanted, said):
    save_setting(toy, tmp_path, begin(toy, tmp_path, Wanted()))
    with pytest.raises(FarziError, match=said):
        begin(toy, tmp_path, wanted)
    save_setting(toy, tmp_path, begin(toy, tmp_path, wanted, restart=True), restart=True)
    assert begin(toy, tmp_path, wanted) is not None


def test_a_damaged_or_another_study_is_refused(tmp_path, toy):
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(FarziError, match="damaged"):
        recorded(tmp_path)
    save_setting(toy, tmp_path / "b", begin(toy, tmp_path / "b", Wanted()))
    text = (tmp_path / "b" / "study.json").read_text().replace('"toy"', '"other"')
    (tmp_path / "b" / "study.json").write_text(text)
    with pytest.raises(FarziError, match="holds the study other"):
        begin(toy, tmp_path / "b", Wanted())


def test_steps_and_minutes_exclude_each_other(tmp_path, toy):
    with pytest.raises(FarziError, match="only one"):
        begin(toy, tmp_path, Wanted(outer_steps=3, minutes=1.0))


def test_another_optimizer_or_student_leaves_its_own_settings_behind():
    recipe = Recipe().changed({"inner.optimizer.beta1": 0.5, "student.heads": 2})
    assert recipe.changed({"inner.optimizer": {"type": "sgd"}}).inner.optimizer == SGD()
    assert recipe.changed({"inner.optimizer": {"type": "adamw"}}).inner.optimizer.own["beta1"] == 0.5
    assert of_architecture(recipe.student, "gru4rec") == GRU4Rec()
    assert of_architecture(recipe.student, "transformer") == Transformer(heads=2)
    with pytest.raises(FarziError, match="no_such"):
        recipe.changed({"inner.no_such": 1})


@pytest.mark.parametrize("name", ["README.md", "figure.png", "rows.jsonl"])
@pytest.mark.parametrize("restart", [False, True])
def test_files_of_someone_else_are_not_replaced(tmp_path, toy, name, restart):
    (tmp_path / name).write_text("mine")
    with pytest.raises(FarziError, match=f"holds {name}, which no study wrote"):
        save_setting(toy, tmp_path, Setting(Recipe()), restart)
    assert (tmp_path / name).read_text() == "mine"
