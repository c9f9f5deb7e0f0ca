"""`farzi.tune` and its objective: what is trained, what is confirmed, what is written."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import farzi
from farzi.errors import FarziError
from farzi.evaluation.intervals import paired_difference
from farzi.progress import Progress
from farzi.tuning import Tuned, objective
from farzi.tuning import tune as tuning
from tests.tuning.conftest import SPACE

optuna = pytest.importorskip("optuna")

QUICK: dict[str, Any] = {"space": SPACE, "trials": 4, "seeds": 2, "confirm": 2, "progress": Progress()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tuned")


@pytest.fixture(scope="module")
def tuned(distilled: Path, place: Path) -> Tuned:
    return farzi.tune(distilled, **QUICK, out=place, control=("halving", "random"))


def test_trials_are_trainings_on_the_summary(distilled: Path, tuned: Tuned):
    summary = farzi.Summary.load(distilled)
    row = tuned.trials[1]
    assert row.state == "complete"
    goal = objective(summary, space=SPACE, seeds=2)
    log = farzi.load_log(summary.recipe.source)
    figures = [
        farzi.evaluate(farzi.train(summary, goal.space.changed(row.settings), seed=seed), log, split="valid")
        for seed in (1000, 1001)
    ]
    assert row.figure == pytest.approx(np.mean([one["nDCG@10"] for one in figures]))


def test_confirmed_settings_are_trainings_on_the_full_data(distilled: Path, tuned: Tuned):
    summary = farzi.Summary.load(distilled)
    log = farzi.load_log(summary.recipe.source)
    goal = objective(summary, space=SPACE)
    units = []
    for row in tuned.confirmed[:2]:
        recipe = goal.space.changed(row.settings)
        models = [farzi.train(log, recipe, seed=seed) for seed in (0, 1)]
        tested = [farzi.evaluate(model, log).per_unit["nDCG@10"] for model in models]
        assert row.test == pytest.approx(np.mean(tested))
        units.append(np.stack(tested))
    assert tuned.confirmed[0].name == "recipe's own"
    assert tuned.confirmed[1].gain == paired_difference(units[1], units[0])
    ours = [row for row in tuned.confirmed if row.summary is not None]
    assert tuned.best in ours
    assert tuned.best is not None
    assert tuned.best.valid == max(row.valid for row in ours)


def test_controls_have_the_searchs_seconds_and_no_summary(tuned: Tuned, place: Path):
    assert [row.name for row in tuned.confirmed[-2:]] == ["halving", "random"]
    assert all(row.summary is None and row.trial is None for row in tuned.confirmed[-2:])
    assert set(tuned.seconds) == {"distillation", "search", "halving", "random", "confirmation"}
    assert (place / "control-halving" / "trials.ndjson").exists()


def test_files_say_what_was_found(distilled: Path, tuned: Tuned, place: Path):
    facts = json.loads((place / "confirmed.json").read_text())
    assert facts["line"] == tuned.line
    assert len(facts["confirmed"]) == 5
    assert facts["kendall_tau"] is None  # three settings of the search
    assert farzi.Recipe.load(place / "best-config.json") == tuned.recipe
    assert (place / "search.png").read_bytes().startswith(b"\x89PNG")
    assert len((place / "trials.ndjson").read_text().splitlines()) == len(tuned.trials) == 4
    assert tuned.line in str(tuned)
    assert "recipe's own" in repr(tuned)


def test_the_same_call_again_trains_nothing(
    distilled: Path, tuned: Tuned, place: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("farzi.tuning.objectives.train_on_summary", lambda *_, **__: pytest.fail("trained"))
    monkeypatch.setattr("farzi.tuning.confirm.train_on_full_data", lambda *_: pytest.fail("trained"))
    again = farzi.tune(distilled, **QUICK, out=place)
    assert again.trials == tuned.trials
    assert again.confirmed == tuned.confirmed[:3]


@pytest.mark.long
def test_more_trials_go_on_in_several_processes(distilled: Path, tuned: Tuned, place: Path):
    more = farzi.tune(distilled, **{**QUICK, "trials": 7, "confirm": 3}, jobs=2, out=place)
    assert more.trials[:4] == tuned.trials
    assert len(more.trials) == 7
    assert all(row.figure is not None for row in more.trials)
    assert more.tau is not None
    assert -1 <= more.tau <= 1
    assert "Kendall" in str(more)


def test_models_go_to_the_cache_that_distillations_share(distilled: Path, tmp_path: Path):
    cache = tmp_path
    result = farzi.tune(distilled, **{**QUICK, "trials": 1, "confirm": 1, "seeds": 1}, cache=cache)
    assert result.best is result.confirmed[0]
    assert "no gain" in result.line
    recipe = result.recipe.changed({"init.type": "teacher", "init.teachers": 1})
    farzi.distill(farzi.load_log(recipe.source), recipe, cache=cache, progress=Progress())
    assert len(list(tmp_path.glob("full-*"))) == 1


def test_the_objective_is_one_for_any_study(distilled: Path):
    goal = objective(distilled, space=SPACE, seeds=2, metric="hr@10")
    assert goal.direction == "maximize"
    study = optuna.create_study(direction=goal.direction)
    study.optimize(goal, n_trials=2)
    assert 0 <= study.best_value <= 1
    assert pickle.loads(pickle.dumps(goal)).metric == goal.metric


def test_dropout_on_the_summary_is_repeatable_and_has_an_effect(distilled: Path):
    goal = objective(distilled, space={"teach.dropout": {"type": "float", "min": 0, "max": 0.9}}, seeds=1)
    study = optuna.create_study()
    for dropout in (0.0, 0.8, 0.8):
        study.enqueue_trial({"teach.dropout": dropout})
    study.optimize(goal, n_trials=3)
    figures = [list(one.intermediate_values.values()) for one in study.trials]
    assert figures[1] == figures[2] != figures[0]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"metric": "ndcg@11"}, "did you mean ndcg@10"),
        ({"metric": "perplexity"}, "a log is measured by"),
        ({"trials": 0}, "trials must be at least 1"),
        ({"minutes": 0}, "minutes must be above 0"),
        ({"control": "bohb"}, "control must be one of halving, random"),
        ({"space": {}}, "empty"),
        ({"space": {"inner.steps": {"choices": [6]}}, "control": "halving"}, "control halving"),
    ],
)
def test_wrong_arguments_are_one_line(distilled: Path, changed: dict[str, Any], said: str):
    with pytest.raises(FarziError) as error:
        farzi.tune(distilled, **{**QUICK, "trials": 1, **changed})
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_without_optuna_one_line_says_how_to_install_it(distilled: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(FarziError, match=r"pip install 'farzi\[tune\]'"):
        farzi.tune(distilled, **QUICK)


def test_best_trials_are_one_for_each_setting():
    from farzi.tuning import Row

    rows = [Row(0, "complete", {"a": 1}, 0.2, 1.0, True), Row(1, "complete", {"a": 2}, 0.3, 1.0)]
    rows += [Row(2, "complete", {"a": 2}, 0.3, 1.0), Row(3, "stopped", {"a": 3}, 0.9, 1.0)]
    assert [row.number for row in tuning._ranked(rows, cost=False)] == [1, 0]
    assert [row.number for row in tuning._ranked(rows, cost=True)] == [0, 1]
