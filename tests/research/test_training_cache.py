"""A training on real events is done once, and is then the same wherever it is needed."""

from pathlib import Path
from typing import Any

import pytest
import torch

from farzi.errors import FarziError
from farzi.evaluation.controls import Random
from farzi.recipe import Grid, Recipe, Teach
from farzi.recipe.variants import SASRec
from research.studies import Bench, trainings
from research.studies.study import Repeat
from research.studies.trainings import OnReal

TEACH = Teach(max_steps=4, validate_every=2, grid=Grid(learning_rate=(0.01, 0.03)))
ONE_RATE = TEACH.model_copy(update={"grid": Grid(learning_rate=(0.01,))})


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of the trainings that are done."""
    seeds: list[int] = []
    train = trainings.train_on_events

    def heard(*given: Any) -> Any:
        seeds.append(given[4])
        return train(*given)

    monkeypatch.setattr(trainings, "train_on_events", heard)
    return seeds


def test_a_training_is_done_once_in_a_cache(small: Recipe, tmp_path: Path, done: list[int]):
    row = OnReal(small, teach=TEACH)
    first, facts = row.fit(Bench(tmp_path), Repeat(0, 0))
    assert len(done) == 3  # two to choose the learning rate
    again, same = row.fit(Bench(tmp_path), Repeat(0, 0))
    assert len(done) == 3
    assert (again.seconds, again.steps, same) == (first.seconds, first.steps, facts)
    for name, value in first.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value)
    row.fit(Bench(tmp_path), Repeat(1, 0))
    assert len(done) == 4  # a row that was stopped: its first repetition is there
    row.fit(Bench(tmp_path, cache=tmp_path / "elsewhere"), Repeat(0, 0))
    assert len(done) == 7


def test_what_a_training_does_not_depend_on_makes_no_other_one(
    small: Recipe, tmp_path: Path, done: list[int]
):
    OnReal(small, teach=TEACH).fit(Bench(tmp_path), Repeat(0, 0))
    before = len(done)
    distilled = {"inner.steps": 9, "summary.parametrization.dim": 3, "summary.sequences": 3}
    OnReal(small.changed(distilled), teach=TEACH).fit(Bench(tmp_path), Repeat(0, 0))
    assert len(done) == before
    for other in (
        OnReal(small, Random(), teach=TEACH),
        OnReal(small, student=SASRec(hidden=6), teach=TEACH),
        OnReal(small.changed({"summary.length": 4}), teach=TEACH),
        OnReal(small.changed({"select.seen": "exclude"}), teach=TEACH),
        OnReal(small.changed({"data.split": {"type": "time", "valid": 0.3}}), teach=TEACH),
        OnReal(small, teach=TEACH.model_copy(update={"grid": Grid(learning_rate=(0.02,))})),
        OnReal(small, teach=ONE_RATE.model_copy(update={"max_steps": 6})),
    ):
        before = len(done)
        other.fit(Bench(tmp_path), Repeat(0, 0))
        assert len(done) > before


def test_a_damaged_training_is_refused(small: Recipe, tmp_path: Path):
    row = OnReal(small, teach=ONE_RATE)
    row.fit(Bench(tmp_path), Repeat(0, 0))
    (path,) = Bench(tmp_path).cache.glob("real-*")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FarziError, match="delete it to train again"):
        row.fit(Bench(tmp_path), Repeat(0, 0))
