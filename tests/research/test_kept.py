"""A training on real events is done once, and is then the same wherever it is needed."""

from pathlib import Path
from typing import Any

import pytest
import torch

from farzi.evaluation.controls import Random
from farzi.errors import FarziError
from farzi.evaluation import Effort, trials
from farzi.recipe import Recipe, StudentSettings
from farzi.training import EventTraining
from research.studies import Bench
from research.studies.study import Repeat
from research.studies.trainings import OnReal
from research.studies.vary import varied

EFFORT = Effort(rates=(0.01, 0.03), training=EventTraining(steps=4, every=2))


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of the trainings that are done."""
    seeds: list[int] = []
    train = trials.train_on_events

    def heard(*given: Any) -> Any:
        seeds.append(given[4])
        return train(*given)

    monkeypatch.setattr(trials, "train_on_events", heard)
    return seeds


def test_a_training_is_done_once_in_a_cache(small: Recipe, tmp_path: Path, done: list[int]):
    row = OnReal(small, effort=EFFORT)
    first, facts = row.fit(Bench(tmp_path), Repeat(0, 0))
    assert len(done) == 3  # two to choose the learning rate
    again, same = row.fit(Bench(tmp_path), Repeat(0, 0))
    assert len(done) == 3
    assert (again.seconds, again.steps, same) == (first.seconds, first.steps, facts)
    for name, value in first.student.state_dict().items():
        assert torch.equal(again.student.state_dict()[name], value)
    row.fit(Bench(tmp_path), Repeat(1, 0))
    assert len(done) == 4  # a row that was stopped: its first repetition is there
    row.fit(Bench(tmp_path, cache=tmp_path / "elsewhere"), Repeat(0, 0))
    assert len(done) == 7


def test_what_a_training_does_not_depend_on_makes_no_other_one(
    small: Recipe, tmp_path: Path, done: list[int]
):
    OnReal(small, effort=EFFORT).fit(Bench(tmp_path), Repeat(0, 0))
    before = len(done)
    OnReal(varied(small, {"inner.steps": 9, "summary.dim": 3, "summary.sequences": 3}), effort=EFFORT).fit(
        Bench(tmp_path), Repeat(0, 0)
    )
    assert len(done) == before
    for other in (
        OnReal(small, Random(), effort=EFFORT),
        OnReal(small, student=StudentSettings(hidden=6), effort=EFFORT),
        OnReal(varied(small, {"summary.length": 4}), effort=EFFORT),
        OnReal(varied(small, {"outer.seen": "exclude"}), effort=EFFORT),
        OnReal(varied(small, {"data.valid_fraction": 0.3, "data.split": "time"}), effort=EFFORT),
        OnReal(small, effort=Effort(rates=(0.02,), training=EFFORT.training)),
        OnReal(small, effort=Effort(rates=(0.01,), training=EventTraining(steps=6, every=2))),
    ):
        before = len(done)
        other.fit(Bench(tmp_path), Repeat(0, 0))
        assert len(done) > before


def test_a_damaged_training_is_refused(small: Recipe, tmp_path: Path):
    row = OnReal(small, effort=Effort(rates=(0.01,), training=EFFORT.training))
    row.fit(Bench(tmp_path), Repeat(0, 0))
    (path,) = Bench(tmp_path).cache.glob("real-*")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FarziError, match="delete it, and it is trained again"):
        row.fit(Bench(tmp_path), Repeat(0, 0))
