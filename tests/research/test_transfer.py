"""A summary and several architectures: who is trained on what, at which learning rate; the table."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from farzi.data import Log
from farzi.evaluation import Comparison, evaluate_ranking, task_of
from farzi.recipe import Inner, Recipe
from farzi.recipe import variants as v
from farzi.summary import Size, Summary, TransitionInitializer
from farzi.training import train_on_summary
from research.studies.transfer import save_transfer, trainings_of_others, transfer, transfer_text

STUDENTS = (v.SASRec(hidden=8), v.GRU4Rec(hidden=8))


@pytest.fixture(scope="module")
def summary(tiny: Log, recipe: Recipe) -> Summary:
    tensors = TransitionInitializer()(Size(6, 5, 4, 41), tiny.train, np.random.default_rng(0))
    quick = recipe.changed({"compare.seeds": 2, "teach.grid.learning_rate": (1e-2,)})
    return Summary(tensors, tiny.vocabulary, quick)


@pytest.fixture(scope="module")
def compared(tiny: Log, summary: Summary) -> list[Comparison]:
    return transfer(summary, tiny, STUDENTS)


def test_each_student_is_measured_on_the_same_three_kinds_of_data(compared: list[Comparison]):
    assert [one.student for one in compared] == ["sasrec", "gru4rec"]
    for one in compared:
        assert [entry.trained_on for entry in one.results] == ["full", "summary", "random"]
        assert one.result("random").sequences == one.result("summary").sequences == 6


def test_its_own_student_is_trained_as_the_recipe_says(
    compared: list[Comparison], tiny: Log, summary: Summary
):
    recipe = summary.recipe
    trained = train_on_summary(summary.tensors, recipe.student, recipe.inner, seed=1001).model
    ours = compared[0].result("summary")
    np.testing.assert_array_equal(
        ours.per_unit["AUC"][1], evaluate_ranking(trained, tiny.test, "keep").per_unit["AUC"]
    )
    assert ours.learning_rate == recipe.inner.optimizer.own["learning_rate"]


def test_another_student_gets_the_training_that_validates_best(
    compared: list[Comparison], tiny: Log, summary: Summary
):
    student, scores = STUDENTS[1], []
    for inner in trainings_of_others(summary.recipe.inner, summary.tensors.sequences):
        trained = train_on_summary(summary.tensors, student, inner, seed=999).model
        scores.append((task_of(tiny).score(trained, tiny.valid), inner))
    best = max(scores, key=lambda scored: scored[0])[1]
    ours = compared[1].result("summary")
    assert ours.learning_rate == best.optimizer.own["learning_rate"]
    trained = train_on_summary(summary.tensors, student, best, seed=1000).model
    np.testing.assert_array_equal(
        ours.per_unit["AUC"][0], evaluate_ranking(trained, tiny.test, "keep").per_unit["AUC"]
    )


def test_half_of_the_trainings_have_more_regularisation():
    optimizer = v.Adam(learning_rate=0.03, beta2=0.9)
    inner = Inner(optimizer=optimizer, cooldown=0.0, steps=40, batch=None)
    tried = trainings_of_others(inner, 50)
    same, regularised = tried[:3], tried[3:]
    for part in (same, regularised):
        assert [one.optimizer.own["learning_rate"] for one in part] == pytest.approx([0.01, 0.03, 0.09])
    for one in same:
        assert one == inner.model_copy(update={"optimizer": one.optimizer})
        assert one.optimizer == optimizer.model_copy(
            update={"learning_rate": one.optimizer.own["learning_rate"]}
        )
    for one in regularised:
        assert isinstance(one.optimizer, v.AdamW)
        assert (one.optimizer.weight_decay, one.batch, one.cooldown) == (1.0, 10, 0.5)
        assert (one.optimizer.beta2, one.steps) == (0.9, 40)
    stricter = Inner(optimizer=v.AdamW(weight_decay=2.0), batch=3, cooldown=0.8)
    last = trainings_of_others(stricter, 50)[-1]
    assert (last.optimizer.own["weight_decay"], last.batch, last.cooldown) == (2.0, 3, 0.8)
    assert trainings_of_others(inner, 3)[-1].batch == 1


def test_the_tables_hold_each_student_and_what_they_come_to(compared: list[Comparison], tmp_path: Path):
    rows = save_transfer(compared, "sasrec", tmp_path)
    assert {row["distilled_with"] for row in rows} == {"sasrec"}
    assert [row["student"] for row in rows if row["metric"] == "AUC"] == ["sasrec"] * 3 + ["gru4rec"] * 3
    assert json.loads((tmp_path / "students.json").read_text())["rows"] == rows
    page = (tmp_path / "students.md").read_text()
    text = transfer_text(compared, "sasrec")
    for one in compared:
        assert f"| {one.student} | summary |" in page
        assert one.student in text
    assert "among all 40 items" in " ".join(page.split())


def test_what_it_comes_to_is_the_mean_over_the_other_students(compared: list[Comparison], tmp_path: Path):
    """Figures of whole numbers, so that the mean can be seen: 1/2 and 3/4 of the full data's."""
    made: list[Comparison] = []
    for name, share in (("sasrec", 1.0), ("gru4rec", 0.5), ("fmlprec", 0.75)):
        full = replace(compared[0].result("full"), per_unit={"HR@100": np.full((2, 10), 1.0)})
        ours = replace(compared[0].result("summary"), per_unit={"HR@100": np.full((2, 10), share)})
        made.append(replace(compared[0], student=name, results=(full, ours)))
    save_transfer(made, "sasrec", tmp_path)
    page = " ".join((tmp_path / "students.md").read_text().split())
    assert "on average HR@100 62 %." in page or "on average HR@100 63 %." in page
