"""A trained model's file: a round trip, and one clear line for every file that is wrong."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import safetensors.torch
import torch

from farzi.data import Vocabulary
from farzi.errors import FarziError
from farzi.models import Model, SequenceModel, build_model
from farzi.recipe import Recipe
from farzi.recipe.variants import LogData
from farzi.tensorfile import read_tensors, write_tensors

from .kinds import TYPES, settings

SETTINGS = settings(type="sasrec", hidden=8, layers=2, heads=2)
KINDS = [
    SETTINGS,
    *(settings(type=name, hidden=6) for name in TYPES),
    settings(type="lstm", hidden=6, tied=False),
]

OWN = """
import torch
from farzi.models import SequenceModel

class Mean(SequenceModel):
    def __init__(self, vocabulary, length, width=4):
        super().__init__()
        self.length = length
        self.embedding = torch.nn.Parameter(torch.randn(vocabulary, width))

    def hidden(self, vectors, real=None):
        return vectors.cumsum(1)

class Untabled(SequenceModel):
    def __init__(self, vocabulary, length):
        super().__init__()

    def hidden(self, vectors, real=None):
        return vectors

class NoModel:
    def __init__(self, vocabulary, length):
        pass
"""


def vocabulary(*ids: str) -> Vocabulary:
    return Vocabulary.from_events(pl.DataFrame({"item": ids}))


def model(student: Any) -> Model:
    torch.manual_seed(0)
    words = Vocabulary.from_events(
        pl.DataFrame({"item": ["a", "b", "c", "é"]}), pl.DataFrame({"id": ["b"], "name": ["Bee"]})
    )
    network = build_model(student, len(words), 5)
    return Model(network, student, words, LogData(source="log.csv"), "summary", 1.25, 30)


@pytest.fixture
def stored() -> Model:
    return model(SETTINGS)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of models of the user's own."""
    (tmp_path / "ownmodels.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "ownmodels", raising=False)
    return "ownmodels"


@pytest.mark.parametrize("student", KINDS, ids=lambda kind: kind.type)
def test_what_is_saved_is_loaded(student: Any, tmp_path: Path):
    stored = model(student)
    path = tmp_path / "s.safetensors"
    stored.save(path)
    loaded = Model.load(path)
    histories = torch.tensor([[0, 1, 2], [3, 2, 1]])
    assert torch.equal(loaded.network.next_scores(histories), stored.network.next_scores(histories))
    assert (loaded.student, loaded.data, loaded.trained_on) == (student, stored.data, "summary")
    assert (loaded.seconds, loaded.steps) == (1.25, 30)
    assert loaded.vocabulary == stored.vocabulary
    assert loaded.vocabulary.frame["name"].to_list() == [None, None, "Bee", None, None]
    assert loaded.network.length == 5
    assert not loaded.network.training


def test_a_model_is_described_in_one_line(stored: Model):
    assert repr(stored) == "Model(sasrec, 4 items, trained on summary: 30 steps, 1.2 s)"


def test_the_vocabulary_of_its_training_is_right_and_any_other_wrong(stored: Model):
    stored.check(vocabulary("c", "a", "é", "b"), "log.csv")  # the same items: indices go by count and id
    for other in (("a", "b", "d", "é"), ("ab", "c", "é")):
        with pytest.raises(FarziError, match=r"^other\.csv: .* not those that the model was trained for"):
            stored.check(vocabulary(*other), "other.csv")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def other_format(path: Path) -> None:
    path.write_bytes(safetensors.torch.save({"embedding": torch.zeros(2, 2)}))


def other_version(path: Path) -> None:
    tensors, header = read_tensors(path, "farzi-model-1", "")
    write_tensors(path, "farzi-model-1", tensors, header | {"student": '{"wings": 2}'})


def other_weights(path: Path) -> None:
    tensors, header = read_tensors(path, "farzi-model-1", "")
    tensors["network.embedding"] = tensors["network.embedding"][:-1]
    write_tensors(path, "farzi-model-1", tensors, header)


@pytest.mark.parametrize("harm", [flip, cut, other_format, other_version, other_weights, Path.unlink])
def test_a_wrong_file_is_refused_in_one_line(stored: Model, tmp_path: Path, harm: Callable[[Path], None]):
    path = tmp_path / "s.safetensors"
    stored.save(path)
    harm(path)
    with pytest.raises(FarziError) as caught:
        Model.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_model(tmp_path: Path):
    with pytest.raises(FarziError, match="is a folder"):
        Model.load(tmp_path)


# A model of the user's own


def test_a_class_of_ones_own_is_built_by_name_or_given_as_it_is(own: str):
    import ownmodels  # pyright: ignore[reportMissingImports]

    by_name = build_model(settings(type=f"{own}:Mean", width=16), 7, 5)
    assert by_name.embedding.shape == (7, 16)
    assert not by_name.training
    given = Recipe(student=ownmodels.Mean)
    assert given.student.type == f"{own}:Mean"
    network = build_model(given.student, 7, 5)
    assert isinstance(network, ownmodels.Mean)
    assert isinstance(network, SequenceModel)
    assert network.embedding.shape == (7, 4)
    assert network(torch.tensor([[1, 2, 3]])).shape == (1, 3, 7)


@pytest.mark.parametrize(
    ("own_settings", "message"),
    [
        ({"type": "ownmodels:NoModel"}, "is no model: must be a subclass of farzi.models.SequenceModel"),
        ({"type": "ownmodels:Mean", "wdith": 3}, "does not take these settings: .*'wdith'"),
        ({"type": "ownmodels:Untabled"}, "its __init__ must set self.embedding"),
        ({"type": "ownmodels:Missing"}, "cannot be imported: .*'Missing'"),
        ({"type": "nosuchmodule:Mean"}, "cannot be imported: .*'nosuchmodule'"),
        ({"type": "ownmodels:torch.randn"}, "is not a class"),
    ],
    ids=lambda value: value.get("type") if isinstance(value, dict) else "",
)
def test_a_class_that_cannot_be_used_is_refused_in_one_line(own: str, own_settings: Any, message: str):
    with pytest.raises(FarziError, match=rf"^student\.type {own_settings['type']}: {message}"):
        build_model(settings(**own_settings), 7, 5)


def test_a_saved_model_of_ones_own_class_is_loaded_if_the_class_can_be_imported(
    own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    stored, path = model(settings(type=f"{own}:Mean")), tmp_path / "m.safetensors"
    stored.save(path)
    histories = torch.tensor([[0, 1, 2]])
    loaded = Model.load(path)
    assert torch.equal(loaded.network.next_scores(histories), stored.network.next_scores(histories))
    (tmp_path / "ownmodels.py").unlink()
    monkeypatch.delitem(sys.modules, own)
    with pytest.raises(FarziError, match=r"m\.safetensors: student\.type ownmodels:Mean: cannot be imported"):
        Model.load(path)


def test_a_file_that_names_another_class_is_refused(stored: Model, own: str, tmp_path: Path):
    path = tmp_path / "m.safetensors"
    stored.save(path)
    tensors, header = read_tensors(path, "farzi-model-1", "")
    write_tensors(path, "farzi-model-1", tensors, header | {"student": f'{{"type": "{own}:NoModel"}}'})
    with pytest.raises(FarziError, match="is no model: must be a subclass of"):
        Model.load(path)
