"""A student's file: a round trip, and one clear line for every way of being wrong."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import safetensors.torch
import torch

from farzi.data import Vocabulary
from farzi.errors import FarziError
from farzi.recipe import DataSettings, StudentSettings
from farzi.models import STUDENTS, StudentFile, build_model, checksum_of_ids
from farzi.tensorfile import read_tensors, write_tensors

SETTINGS = StudentSettings(hidden=8, layers=2, heads=2)
KINDS = [
    SETTINGS,
    *(StudentSettings.model_validate({"name": name, "hidden": 6}) for name in STUDENTS),
    StudentSettings(name="lstm", hidden=6, tied=False),
]


def vocabulary(*ids: str) -> Vocabulary:
    return Vocabulary.from_events(pl.DataFrame({"item": ids}))


def student_file(settings: StudentSettings) -> StudentFile:
    torch.manual_seed(0)
    words = vocabulary("a", "b", "c")
    student = build_model(settings, len(words), 5)
    return StudentFile(student, settings, DataSettings(source="log.csv"), checksum_of_ids(words), "summary")


@pytest.fixture
def stored() -> StudentFile:
    return student_file(SETTINGS)


@pytest.mark.parametrize("settings", KINDS, ids=lambda kind: kind.name)
def test_what_is_saved_is_loaded(settings: StudentSettings, tmp_path: Path):
    stored = student_file(settings)
    path = tmp_path / "s.safetensors"
    stored.save(path)
    loaded = StudentFile.load(path)
    histories = torch.tensor([[0, 1, 2], [3, 2, 1]])
    assert torch.equal(loaded.student.next_scores(histories), stored.student.next_scores(histories))
    assert (loaded.settings, loaded.data, loaded.trained_on) == (settings, stored.data, "summary")
    assert loaded.student.length == 5


def test_the_vocabulary_of_its_training_is_right_and_any_other_wrong(stored: StudentFile):
    stored.check(vocabulary("c", "a", "b"), "log.csv")  # the same items: indices go by count and id
    with pytest.raises(FarziError, match=r"^other\.csv: .* not those that the student was trained for"):
        stored.check(vocabulary("a", "b", "d"), "other.csv")


def test_ids_do_not_run_together():
    assert checksum_of_ids(vocabulary("ab", "c")) != checksum_of_ids(vocabulary("a", "bc"))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def other_format(path: Path) -> None:
    path.write_bytes(safetensors.torch.save({"embedding": torch.zeros(2, 2)}))


def other_version(path: Path) -> None:
    tensors, words = read_tensors(path, "farzi-student-1", "")
    write_tensors(path, "farzi-student-1", tensors, words | {"student": '{"wings": 2}'})


@pytest.mark.parametrize("harm", [flip, cut, other_format, other_version, Path.unlink])
def test_a_wrong_file_is_refused_in_one_line(
    stored: StudentFile, tmp_path: Path, harm: Callable[[Path], None]
):
    path = tmp_path / "s.safetensors"
    stored.save(path)
    harm(path)
    with pytest.raises(FarziError) as caught:
        StudentFile.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_student(tmp_path: Path):
    with pytest.raises(FarziError, match="no such file"):
        StudentFile.load(tmp_path)
