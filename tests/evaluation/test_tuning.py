"""Tuning along one setting after the other: which trainings it takes, which it keeps, and what it ends in."""

from pathlib import Path
from typing import Any

import pytest

import farzi
from farzi.data import Log
from farzi.distillation import Cache
from farzi.errors import FarziError
from farzi.evaluation import RecommendationTask
from farzi.evaluation.trials import Trials
from farzi.evaluation.tuning import ALONE, trainings_of, tune
from farzi.progress import Progress
from farzi.recipe import Grid, Recipe
from farzi.recipe.variants import SASRec
from farzi.training import Trained, make_model

QUICK = {"teach.max_steps": 2, "teach.validate_every": 2}
VALUES = {"learning_rate": (1e-3, 1e-2), "dropout": (0.0, 0.2), "hidden": (8, 16), "length": (5,)}


class Judge:
    """A stand-in for training and measuring: a score for each setting, and a record of what was asked for."""

    def __init__(self, score: Any) -> None:
        self.score, self.asked = score, list[dict[str, Any]]()

    def trials(self, log: Log, **grid: Any) -> Trials:
        recipe = Recipe().changed({"student": {"type": "sasrec", "hidden": 8}})
        teach = recipe.teach.model_copy(update={"grid": Grid(**grid), "dropout": 0.1})
        judge = self

        class Task(RecommendationTask):
            def score(self, model: Any, held: Any) -> float:
                return judge.score(judge.asked[-1])

        def train(
            log: Any, student: Any, vocabulary: int, length: int, seed: int, teach: Any, *_: Any, **__: Any
        ):
            own = teach.optimizer
            settings = {
                "learning_rate": own.learning_rate,
                "weight_decay": own.weight_decay,
                "length": length,
            }
            settings |= {"dropout": teach.dropout, "hidden": student.hidden, "layers": student.layers}
            judge.asked.append(settings)
            return Trained(make_model(student, vocabulary, length, seed), 1.0, 2)

        return Trials(log, recipe.student, 5, Task(), 2, teach, train=train)


def test_each_setting_is_tuned_at_the_best_of_the_others(tiny: Log):
    judge = Judge(lambda one: one["dropout"] + one["hidden"] - 100 * abs(one["learning_rate"] - 1e-3))
    trials = judge.trials(tiny, **VALUES)
    found = tune(trials, "full", trials.whole)
    asked = [(one["learning_rate"], one["dropout"], one["hidden"]) for one in judge.asked]
    # the rates with what else is set; the dropouts at the best rate; the widths at the best of both
    assert asked == [(1e-3, 0.1, 8), (1e-2, 0.1, 8), (1e-3, 0.0, 8), (1e-3, 0.2, 8), (1e-3, 0.2, 16)]
    best = found.trials
    assert (best.rate, best.teach.dropout, best.student, best.length) == (1e-3, 0.2, SASRec(hidden=16), 5)
    assert found.best is not None
    assert found.best.settings == {"learning_rate": 1e-3, "dropout": 0.2, "hidden": 16, "length": 5}
    assert len(asked) <= trainings_of(trials.teach.grid) == 6
    assert str(found).count("best") == 1


def test_what_was_best_before_stays_though_it_is_not_among_the_values(tiny: Log):
    judge = Judge(lambda one: -abs(one["dropout"] - 0.1))
    trials = judge.trials(tiny, learning_rate=(1e-3, 1e-2), dropout=(0.0, 0.5))
    assert tune(trials, "full", trials.whole).trials.teach.dropout == 0.1


def test_a_single_value_is_taken_without_a_training(tiny: Log):
    judge = Judge(lambda one: 0.0)
    trials = judge.trials(tiny, learning_rate=(0.5,), layers=(2,))
    found = tune(trials, "full", trials.whole)
    assert (found.trials.rate, found.trials.student.own["layers"]) == (0.5, 2)
    assert (judge.asked, found.tried, found.best) == ([], (), None)


def test_a_control_is_tuned_in_its_training_alone(tiny: Log):
    judge = Judge(lambda one: one["hidden"] + one["dropout"])
    trials = judge.trials(tiny, **VALUES)
    found = tune(trials, "random", trials.whole, ALONE)
    assert found.trials.student == trials.student
    assert found.trials.length == trials.length
    assert found.trials.teach.dropout == 0.2


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"teach.optimizer": {"type": "adam"}, "student": "fmlprec", "teach.grid.layers": (1, 2)}, None),
        ({"student": {"type": "sasrec", "heads": 3, "hidden": 9}, "teach.grid.hidden": (9, 10)}, "heads"),
    ],
)
def test_settings_that_do_not_fit_are_named(tiny: Log, changes: dict[str, Any], named: str | None):
    recipe = Recipe().changed({**QUICK, **changes, "summary.length": 5, "teach.grid.learning_rate": ()})
    if named is None:
        assert len(farzi.tune_baseline(tiny, recipe, progress=Progress()).tried) == 2
        return
    with pytest.raises(FarziError, match=named):
        farzi.tune_baseline(tiny, recipe, progress=Progress())


class Doing(Progress):
    """Notes what begins."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def doing(self, text: str) -> None:
        self.lines.append(text)


def test_finished_trainings_are_found_again(tiny: Log, tmp_path: Path):
    recipe = Recipe().changed({**QUICK, "summary.length": 5, "teach.grid.dropout": (0.0, 0.2)})
    first, again = Doing(), Doing()
    found = farzi.tune_baseline(tiny, recipe, cache=Cache(tmp_path / "cache"), progress=first)
    same = farzi.tune_baseline(tiny, recipe, cache=Cache(tmp_path / "cache"), progress=again)
    assert len(first.lines) == len(found.tried) == 4  # three rates, then the dropout that is not set yet
    assert again.lines == []
    assert str(same) == str(found)


def test_the_tuned_recipe_has_nothing_left_to_tune(tiny: Log):
    recipe = Recipe().changed({**QUICK, "summary.length": 5, "teach.grid.hidden": (8, 16)})
    found = farzi.tune_baseline(tiny, recipe, progress=Progress())
    tuned = found.recipe(recipe)
    assert found.best is not None
    assert tuned.full_model.own["hidden"] == found.best.settings["hidden"]
    assert tuned.teach.optimizer.own["learning_rate"] == found.best.settings["learning_rate"]
    assert tuned.full_length == 5
    assert trainings_of(tuned.teach.grid) == 0
    assert (tuned.student, tuned.data) == (recipe.student, recipe.data)
    assert farzi.tune_baseline(tiny, tuned, progress=Progress()).tried == ()
