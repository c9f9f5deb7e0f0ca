"""Rows and settings of the flat form are read as those of the nested form."""

import json
from pathlib import Path
from typing import Any

import pytest

from farzi.recipe import Recipe, presets
from farzi.recipe.variants import SGD, AdamW, GRU4Rec, LogData, SASRec, TeacherInit, TimeSplit, Transformer
from research.studies import STUDIES, left, read_rows, recorded
from research.studies.former import converted, data, init, inner, recipe, settings, student, teach
from research.studies.recipes import base_recipe

RESULTS = Path(__file__).parents[2] / "research" / "results"
DATA: dict[str, Any] = {
    **{"source": "ml-100k", "user": None, "item": None, "time": None, "names": None},
    **{"split": "leave-one-out", "valid_fraction": 0.1, "test_fraction": 0.1},
    **{"min_user_events": 3, "min_item_events": None, "ties": None, "unseen": None, "skip_bad": False},
    **{"tokens": None, "vocabulary_size": None, "vocabulary_file": None, "lines": None},
    **{"valid_file": None, "test_file": None},
}
FLAT: dict[str, Any] = {
    "seed": 0,
    "data": DATA,
    "student": {"name": "sasrec", "hidden": 32, "layers": 1, "heads": None, "tied": True},
    "summary": {
        **{"sequences": 100, "length": 20, "dim": 32, "temperature": 1.0, "start": "auto", "classes": None},
        **{"targets": "own", "teachers": ["same", "same"], "form": "factors"},
        **{"user_rank": None, "time_rank": None},
    },
    "inner": {
        **{"optimizer": "adamw", "learning_rate": 0.02, "rate_range": 1.0, "cooldown": 0.15, "epsilon": 1e-5},
        **{"beta1": None, "beta2": None, "weight_decay": 0.1, "steps": 400, "batch": 10},
        **{"soft_events": "auto", "window": 20, "skip": 10, "weights": "fresh", "gradient": "exact"},
        **{"pool": 4, "students": [], "execution": "auto"},
    },
    "outer": {
        **{"objective": "meta", "trajectories": None, "ahead": None, "steps": 150, "minutes": None},
        **{"learning_rate": 0.01, "batch": 256, "runs": 1, "clip": 1.0, "validate_every": 50},
        **{"validate_students": 2, "seen": "keep"},
    },
}


def flat(group: str, **values: Any) -> dict[str, Any]:
    return {**FLAT, group: {**FLAT[group], **values}}


def test_the_former_default_is_the_preset():
    assert Recipe.model_validate(recipe(FLAT)) == base_recipe("ml-100k")


def test_a_recipe_says_all_that_affects_its_summary():
    """So that a setting that came later, or whose default changed, does not pass unnoticed."""
    present: Any = base_recipe("ml-100k").model_dump(mode="json", exclude={"data": {"file"}, "compare": True})
    present["teach"] = of_the_time(present["teach"])
    assert json.loads(json.dumps(recipe(FLAT))) == present


def of_the_time(training: dict[str, Any]) -> dict[str, Any]:
    """Those settings of a training on real events that there were when windows were drawn at random."""
    later = {"model", "length", "cooldown", "warmup", "average", "negatives", "precision", "minutes"}
    return {key: value for key, value in training.items() if key not in later | {"validate_users", "grid"}}


@pytest.mark.parametrize(
    ("group", "values", "changes"),
    [
        ("student", {"name": "gru4rec"}, {"student": GRU4Rec()}),
        ("student", {"heads": 4}, {"student.heads": 4}),
        ("data", {"split": "ratio", "test_fraction": 0.2}, {"data.split": {"type": "ratio", "test": 0.2}}),
        ("summary", {"temperature": 0.5, "length": 7}, {"summary.temperature": 0.5, "summary.length": 7}),
        (
            "summary",
            {"form": "tucker", "user_rank": 25},
            {"summary.parametrization": {"type": "tucker", "dim": 32, "sequence_rank": 25}},
        ),
        (
            "summary",
            {"form": "table", "targets": "events", "start": "random"},
            {"summary.parametrization": {"type": "full_logits", "dim": 32}, "init": {"type": "random"}},
        ),
        (
            "summary",
            {"targets": "events", "start": "classes", "classes": 9},
            {"summary.parametrization.label_decoder": False, "init": {"type": "classes", "classes": 9}},
        ),
        ("summary", {"teachers": ["sasrec", "same"], "start": "taught"}, {}),
        (
            "summary",
            {"teachers": ["gru4rec"], "start": "taught-alike"},
            {"init": TeacherInit(teachers=1, others=(GRU4Rec(),), cluster_by="embeddings")},
        ),
        ("inner", {"weights": "mixed"}, {"outer.weights": {"type": "pretrained", "share": 0.5}}),
        ("inner", {"gradient": "algorithm-1"}, {"outer.adjoint": {"type": "algorithm1"}}),
        ("inner", {"students": ["gru4rec"]}, {"outer.students": (GRU4Rec(),)}),
        (
            "inner",
            {"skip": 3, "pool": 1, "window": 5},
            {"outer.burn_in": 3, "outer.pool": 1, "outer.window": 5},
        ),
        ("inner", {"soft_events": "whole"}, {"inner.soft_inputs": "materialized"}),
        ("outer", {"runs": 3, "minutes": 2.0}, {"outer.replicas": 3, "outer.minutes": 2.0}),
        (
            "outer",
            {"validate_every": 9, "validate_students": 1, "seen": "exclude"},
            {"select.every": 9, "select.students": 1, "select.seen": "exclude"},
        ),
        (
            "outer",
            {"objective": "trajectories", "ahead": 2},
            {
                "outer.objective": {
                    "type": "research.distillers.trajectories:TrajectoryMatching",
                    "trajectories": 5,
                    "ahead": 2,
                }
            },
        ),
    ],
)
def test_a_setting_has_its_new_place(group: str, values: dict[str, Any], changes: dict[str, Any]):
    ours = Recipe.model_validate(recipe(flat(group, **values)))
    assert ours == base_recipe("ml-100k").changed(changes)


def test_an_optimizer_has_the_defaults_of_its_time():
    sgd = {**FLAT["inner"], "optimizer": "sgd", "learning_rate": 1.0, "weight_decay": None}
    assert inner(sgd)["optimizer"] == SGD(learning_rate=1.0).model_dump()
    plain = {**FLAT["inner"], "weight_decay": None}
    assert inner(plain)["optimizer"] == AdamW().model_dump()


def test_a_text_is_known_by_its_name():
    treebank = {**DATA, "source": "ptb"}
    text = {**FLAT, "data": treebank, "student": {**FLAT["student"], "name": "transformer", "tied": False}}
    assert data(treebank)["type"] == "text"
    assert init(text)["cluster_by"] == "embeddings"
    text["summary"] = {**FLAT["summary"], "targets": "events"}
    assert init(text) == {"type": "classes", "classes": None}
    assert student(text["student"]) == Transformer(tied=False).model_dump()


def test_parts_of_recipes_are_converted_wherever_they_stand():
    row = {
        "seeds": 3,
        "work": {
            "kind": "Beside",
            "students": [
                ["summary", {"kind": "OnSummary", "recipe": FLAT, "inner": None, "among": [FLAT["inner"]]}],
                ["log", {"kind": "Members", "settings": {**DATA, "split": "time"}, "others": True}],
            ],
        },
    }
    (_, one), (_, other) = converted(row)["work"]["students"]
    assert one == {
        "kind": "OnSummary",
        "recipe": recipe(FLAT),
        "inner": None,
        "among": [inner(FLAT["inner"])],
    }
    own = LogData(source="ml-100k", split=TimeSplit()).model_dump(mode="json", exclude={"file"})
    assert other == {"kind": "Members", "settings": own, "others": True}
    assert converted(converted(row)) == converted(row)


def test_a_training_on_real_events_has_its_effort_in_the_recipe():
    training = {"learning_rate": 0.003, "batch": 128, "steps": 15000, "every": 150, "patience": 5}
    effort = {"kind": "Effort", "seeds": 5, "rates": [0.001], "training": training}
    whole = {"kind": "OnReal", "student": FLAT["student"], "subset": {"kind": "Random"}, "effort": effort}
    now = converted(whole)
    assert now["student"] == SASRec().model_dump()
    assert now["control"] == {"kind": "Random"}
    assert now["teach"] == {**teach(training), "grid": {"learning_rate": [0.001]}}
    assert (now["teach"]["max_steps"], now["teach"]["validate_every"]) == (15000, 150)
    assert teach() == of_the_time(presets.PLAIN.teach.model_dump(mode="json"))


def test_settings_of_a_study_are_read():
    values = settings({"study": "cost", "seeds": 3, "summaries": 1, "max_steps": 40, "recipe": FLAT})
    assert Recipe.model_validate(values["recipe"]).teach.max_steps == 40
    assert settings(values) == values


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in RESULTS.glob("*/study.json")), ids=lambda p: p.name
)
def test_recorded_rows_are_those_of_their_grid(folder: Path):
    there = recorded(folder)
    assert there is not None
    name, setting = there
    rows = list(STUDIES[name].grid(setting))
    taught = {
        *("random-teachers-labels", "random-teachers-labels-equal-bytes", "teachers", "teachers-ensemble"),
        "first-order",
    }
    missing = {
        **dict.fromkeys(("headline", "headline-ml-1m", "cold-start"), taught),
        "headline-amazon-magazine": {"events-SGD-inside", *taught},
        "treebank": {"head-10x50", "head-200x50", "head-400x50"},
        "fresh-windows": {"full"},
        "fresh-windows-ml-1m": {"full", "steps-50"},
    }
    assert {row.key for row in left(rows, read_rows(folder))} == missing.get(folder.name, set())


def test_a_row_of_another_setting_is_not_taken_for_one_of_the_grid():
    there = recorded(RESULTS / "temperature")
    assert there is not None
    name, setting = there
    rows = read_rows(RESULTS / "temperature")
    changed = STUDIES[name].grid(
        type(setting)(setting.recipe.changed({"outer.clip": 2.0}), setting.seeds, setting.summaries)
    )
    assert {row.key for row in left(list(changed), rows)} == {row.key for row in changed if row.key != "full"}
