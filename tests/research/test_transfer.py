"""The training of an architecture that a summary was not distilled with: what is tried and chosen."""

import numpy as np
import pytest

from farzi.data import Log
from farzi.evaluation import task_of
from farzi.evaluation.trials import Trials
from farzi.recipe import Inner, Recipe
from farzi.recipe import variants as v
from farzi.summary import Size, TransitionInitializer
from farzi.training import train_on_summary
from research.studies.transfer import best_inner, trainings_of_others


def test_another_student_gets_the_training_that_validates_best(tiny: Log, recipe: Recipe):
    tensors = TransitionInitializer()(Size(6, 5, 4, 41), tiny.train, np.random.default_rng(0))
    student, task = v.GRU4Rec(hidden=8), task_of(tiny)
    tried = trainings_of_others(recipe.inner, tensors.sequences)
    trained = [train_on_summary(tensors, student, inner, seed=999).model for inner in tried]
    scores = [task.score(model, tiny.valid) for model in trained]
    trials = Trials(tiny, student, tensors.length, task, 2, recipe.teach)
    assert best_inner(trials, tensors, tried) == tried[int(np.argmax(scores))]


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
