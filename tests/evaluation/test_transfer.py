"""A summary and students of several kinds: who is trained on what, at which learning rate; the table."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from farzi.data import Dataset
from farzi.evaluation import Comparison, Effort, evaluate, task_of, transfer
from farzi.evaluation.transfer import trainings_of_others
from farzi.recipe import InnerSettings, Recipe, StudentSettings
from farzi.report import print_transfer, save_transfer
from farzi.summary import Size, SummaryTensors, TransitionInitializer
from farzi.training import EventTraining, train_on_summary

EFFORT = Effort(seeds=2, rates=(1e-2,), training=EventTraining(steps=10, every=5))
STUDENTS = ["sasrec", "gru4rec"]


@pytest.fixture(scope="module")
def summary(tiny: Dataset) -> SummaryTensors:
    return TransitionInitializer()(Size(6, 5, 4, 41), tiny.train, np.random.default_rng(0))


@pytest.fixture(scope="module")
def compared(tiny: Dataset, summary: SummaryTensors, recipe: Recipe) -> list[Comparison]:
    return transfer(summary, tiny, recipe, STUDENTS, effort=EFFORT)


def test_each_student_is_measured_on_the_same_three_kinds_of_data(compared: list[Comparison]):
    assert [one.student for one in compared] == STUDENTS
    for one in compared:
        assert [entry.trained_on for entry in one.measured] == ["full", "summary", "random"]
        assert one.of("random").sequences == one.of("summary").sequences == 6


def test_its_own_student_is_trained_as_the_recipe_says(
    compared: list[Comparison], tiny: Dataset, summary: SummaryTensors, recipe: Recipe
):
    trained = train_on_summary(summary, recipe.student, recipe.inner, seed=1001).student
    ours = compared[0].of("summary")
    np.testing.assert_array_equal(
        ours.per_unit["AUC"][1], evaluate(trained, tiny.test, "keep").per_unit["AUC"]
    )
    assert ours.learning_rate == recipe.inner.learning_rate


def test_another_student_gets_the_training_that_validates_best(
    compared: list[Comparison], tiny: Dataset, summary: SummaryTensors, recipe: Recipe
):
    student = StudentSettings(name="gru4rec", hidden=recipe.student.hidden)
    scores = []
    for inner in trainings_of_others(recipe.inner, summary.sequences):
        trained = train_on_summary(summary, student, inner, seed=999).student
        scores.append((task_of(tiny).score(trained, tiny.valid), inner))
    best = max(scores, key=lambda scored: scored[0])[1]
    ours = compared[1].of("summary")
    assert ours.learning_rate == best.learning_rate
    trained = train_on_summary(summary, student, best, seed=1000).student
    np.testing.assert_array_equal(
        ours.per_unit["AUC"][0], evaluate(trained, tiny.test, "keep").per_unit["AUC"]
    )


def test_half_of_the_trainings_keep_a_student_from_learning_by_heart():
    inner = InnerSettings(learning_rate=0.03, beta2=0.9, steps=40)
    tried = trainings_of_others(inner, 50)
    same, held_back = tried[:3], tried[3:]
    assert [one.learning_rate for one in same] == pytest.approx([0.01, 0.03, 0.09])
    assert [one.learning_rate for one in held_back] == pytest.approx([0.01, 0.03, 0.09])
    assert {(one.optimizer, one.weight_decay, one.batch, one.cooldown) for one in same} == {
        ("adam", None, None, 0.0)
    }
    for one in held_back:
        assert (one.optimizer, one.weight_decay, one.batch, one.cooldown) == ("adamw", 1.0, 10, 0.5)
        assert (one.beta2, one.steps) == (0.9, 40)
    stricter = InnerSettings(optimizer="adamw", weight_decay=2.0, batch=3, cooldown=0.8)
    last = trainings_of_others(stricter, 50)[-1]
    assert (last.weight_decay, last.batch, last.cooldown) == (2.0, 3, 0.8)
    assert trainings_of_others(inner, 3)[-1].batch == 1


def test_the_tables_hold_each_student_and_what_they_come_to(
    compared: list[Comparison], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    rows = save_transfer(compared, "sasrec", tmp_path, 40)
    assert {row["learnt_with"] for row in rows} == {"sasrec"}
    assert [row["student"] for row in rows if row["metric"] == "AUC"] == ["sasrec"] * 3 + ["gru4rec"] * 3
    assert json.loads((tmp_path / "students.json").read_text())["rows"] == rows
    page = (tmp_path / "students.md").read_text()
    print_transfer(compared, "sasrec", 40)
    told = capsys.readouterr().out
    for one in compared:
        assert f"| {one.student} | summary |" in page
        assert one.student in told
    assert "among all 40 items" in " ".join(page.split())


def test_what_it_comes_to_is_the_mean_over_the_other_students(compared: list[Comparison], tmp_path: Path):
    """Figures of whole numbers, so that the mean can be seen: 1/2 and 3/4 of the full data's."""
    made: list[Comparison] = []
    for name, share in (("sasrec", 1.0), ("gru4rec", 0.5), ("fmlprec", 0.75)):
        full = replace(compared[0].of("full"), per_unit={"HR@100": np.full((2, 10), 1.0)})
        ours = replace(compared[0].of("summary"), per_unit={"HR@100": np.full((2, 10), share)})
        made.append(replace(compared[0], student=name, measured=(full, ours)))
    save_transfer(made, "sasrec", tmp_path, 40)
    page = " ".join((tmp_path / "students.md").read_text().split())
    assert "on average over the other students: HR@100 62 %." in page or "HR@100 63 %." in page
