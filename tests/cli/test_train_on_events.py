"""`farzi train --on full`: which model it trains, and what is left of one that was interrupted."""

from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from farzi import event_training
from farzi.cli import app
from farzi.models import Model
from tests.event_trainings import stopped_when_kept

RECIPE = """
student: {type: sasrec, hidden: 8}
summary: {length: 5}
teach:
  model: {type: gru4rec, hidden: 6}
  length: 9
  max_steps: 12
  validate_every: 3
  dropout: 0.2
  average: 0.5
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    rows = (f"u{user},i{(user + step) % 8},{100 * user + step}\n" for user in range(12) for step in range(14))
    (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(rows))
    (tmp_path / "recipe.yaml").write_text(f"data: {{source: {tmp_path / 'log.csv'}}}{RECIPE}")
    (tmp_path / "out").mkdir()
    return tmp_path


def run(place: Path, *words: Any, out: Any = "out/model", on: str = "full") -> tuple[int, str]:
    line = ["train", "--on", on, "--recipe", str(place / "recipe.yaml"), "--out", str(place / out), *words]
    done = CliRunner().invoke(app, [str(word) for word in line], prog_name="farzi")
    return done.exit_code, done.output


def files(place: Path) -> set[str]:
    return {path.name for path in (place / "out").iterdir()}


def test_the_full_data_model_is_the_recipes_unless_a_student_is_named(place: Path):
    status, said = run(place)
    assert status == 0, said
    model = Model.load(place / "out" / "model")
    assert (model.student.type, model.network.length) == ("gru4rec", 8)
    assert "gru4rec trained on full, 12 steps" in said
    status, said = run(place, "--student", "lstm")
    assert status == 0, said
    model = Model.load(place / "out" / "model")
    assert (model.student.type, model.network.length) == ("lstm", 8)


def test_real_windows_train_the_student_as_in_a_comparison(place: Path):
    status, said = run(place, "--sequences", 4, on="random")
    assert status == 0, said
    model = Model.load(place / "out" / "model")
    assert (model.student.type, model.network.length) == ("sasrec", 4)


@pytest.fixture
def interrupted(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A training that was interrupted after its first validation."""
    monkeypatch.setattr(event_training, "KEPT_EVERY", -1.0)
    with stopped_when_kept(KeyboardInterrupt):
        status, _ = run(place)
    assert status not in (0, 2)
    assert files(place) == {"model.unfinished"}
    return place


def test_an_interrupted_training_ends_as_a_whole_one_and_leaves_nothing(interrupted: Path):
    (interrupted / "out" / ".model.unfinished.0123abcd.farzi-tmp").write_bytes(b"left by a kill")
    assert run(interrupted)[0] == 0
    assert files(interrupted) == {"model"}
    assert run(interrupted, out="whole")[0] == 0
    first, second = (Model.load(interrupted / name).network.state_dict() for name in ("out/model", "whole"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_is_left_of_another_training_is_refused_in_one_line(interrupted: Path):
    status, said = run(interrupted, "--seed", 1)
    assert status == 2
    assert "model.unfinished: is of a training on other data or with other settings; delete it" in said
    assert len(said.strip().splitlines()) == 1
    assert files(interrupted) == {"model.unfinished"}


def test_beside_a_device_nothing_is_kept(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(event_training, "KEPT_EVERY", -1.0)
    monkeypatch.setattr(event_training.Training, "keep", lambda *given: pytest.fail("kept"))
    assert run(place, out="/dev/null")[0] == 0
