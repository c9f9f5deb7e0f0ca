"""Texts by their settings: the carried one, one's own, and what does not fit."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farzi.data import TEXTS, Dataset, Text, is_text, load_data, load_text
from farzi.data.fingerprint import fingerprint
from farzi.data.text.named import CarriedText, OwnCopy
from farzi.errors import FarziError
from farzi.files import sha256
from farzi.recipe import DataSettings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("".join(f"One day, number {k}. Why not? Yes\n" for k in range(50)))
    return path


def load(file: Path, **settings: Any) -> Text:
    return load_text(DataSettings(source=str(file), **{"tokens": "words", **settings}))


def test_a_file_becomes_tokens(file: Path):
    text = load(file)
    assert isinstance(load_data(DataSettings(source=str(file), tokens="words")), Text)
    labels = [text.vocabulary.label(int(i)) for i in text.train.items[:12]]
    assert labels == ["one", "day", ",", "number", "0", ".", "why", "not", "?", "yes", "<eos>", "one"]
    assert (len(text.train), len(text.valid), len(text.test)) == (1, 55, 55)
    assert text.vocabulary.frame["count"].sum() == len(text.train.items) == 440
    assert text.valid.bytes == len("".join(f"One day, number {k}. Why not? Yes\n" for k in range(40, 45)))
    assert json.loads(json.dumps(text.facts)) == text.facts
    assert text.facts["split"]["test"]["unknown"] == round(5 / 55, 4)  # the numbers


def test_pieces_are_the_sentences_of_the_training_text(file: Path):
    text = load(file)
    assert np.array_equal(text.pieces.items, text.train.items)
    assert text.pieces.lengths[:6].tolist() == [6, 3, 2, 6, 3, 2]


def test_no_token_stands_for_padding(file: Path):
    for tokens in ("words", "spaces", "bytes"):
        text = load(file, tokens=tokens)
        for part in (text.train, text.valid.texts, text.test.texts):
            assert part.items.min() > 0
            assert part.items.max() < len(text.vocabulary)


def test_documents_do_not_run_into_each_other(file: Path):
    text = load(file, lines="documents")
    assert (len(text.train), len(text.valid.texts)) == (40, 5)


def test_parts_may_be_files_of_their_own(file: Path, tmp_path: Path):
    (tmp_path / "v").write_text("one day\n")
    (tmp_path / "t").write_text("one night\n")
    text = load(file, valid_file=str(tmp_path / "v"), test_file=str(tmp_path / "t"))
    assert (len(text.valid), len(text.test)) == (3, 3)
    assert text.facts["split"]["rule"] == "given: files of their own"


def test_the_fingerprint_tells_texts_apart(file: Path):
    first = fingerprint(load(file))
    assert fingerprint(load(file)) == first
    assert fingerprint(load(file, test_fraction=0.2)) != first
    assert fingerprint(load(file, vocabulary_size=8)) != first


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"user": "u"}, "--user is for logs of events"),
        ({"split": "time"}, "--split is for logs of events"),
        ({"tokens": "bytes", "vocabulary_size": 9}, "of bytes there are always 256"),
        ({"vocabulary_size": 9, "vocabulary_file": "x"}, "only one of them can hold"),
        ({"source": "sotu", "valid_file": "x"}, "--valid-file is for files"),
    ],
)
def test_settings_that_do_not_fit_are_refused(file: Path, settings: dict[str, Any], line: str):
    with pytest.raises(FarziError, match=line):
        load_data(DataSettings(**{"source": str(file), "tokens": "words", **settings}))


def test_settings_of_texts_are_refused_for_logs():
    with pytest.raises(FarziError, match="--lines is for texts"):
        load_data(DataSettings(lines="running"))
    with pytest.raises(FarziError, match="--tokens is for texts"):
        load_data(DataSettings(tokens="bytes"))


def test_what_is_a_text(file: Path):
    assert is_text(DataSettings(source="sotu"))
    assert is_text(DataSettings(source=str(file.parent)))
    assert not is_text(DataSettings(source=str(file)))
    assert isinstance(load_data(DataSettings()), Dataset)


def test_sotu_is_carried_with_its_terms():
    entry = TEXTS["sotu"]
    path = entry.get()
    assert sha256(path) == entry.sha256
    assert "CC0 1.0" in path.with_name("LICENSE.sotu").read_text()
    text = load_data(DataSettings(source="sotu"))
    assert isinstance(text, Text)
    assert len(text.vocabulary) == 2001
    parts = text.facts["split"]
    assert sum(parts[part]["documents"] for part in ("train", "valid", "test")) == 233
    assert sum(parts[part]["tokens"] for part in ("train", "valid", "test")) == entry.rows
    with pytest.raises(FarziError, match="takes no --from"):
        entry.get("a.txt")
    with pytest.raises(FarziError, match="install farzi again"):
        CarriedText("sotu", "sotu.txt.xz", "0" * 64).get()


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[OwnCopy, Path]:
    """A made-up text of which users have copies, and the folder of one."""
    monkeypatch.setenv("FARZI_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "mine"
    folder.mkdir()
    sums = {}
    for part in ("train", "valid", "test"):
        data = f" the {part} text \n".encode()
        (folder / f"x.{part}.txt").write_bytes(data)
        sums[part] = hashlib.sha256(data).hexdigest()
    return OwnCopy("x", sums), folder


def test_ones_own_copy_is_checked_and_kept(own: tuple[OwnCopy, Path]):
    origin, folder = own
    with pytest.raises(FarziError, match="with --from FOLDER"):
        origin.get()
    assert origin.texts(str(folder)).valid == (" the valid text \n",)
    kept = origin.get(str(folder))
    assert sorted(path.name for path in kept.iterdir()) == ["x.test.txt", "x.train.txt", "x.valid.txt"]
    assert origin.get() == origin.get(str(kept)) == kept
    assert origin.texts().test == (" the test text \n",)


def test_another_copy_is_refused(own: tuple[OwnCopy, Path]):
    origin, folder = own
    (folder / "x.test.txt").write_text("another")
    with pytest.raises(FarziError, match=r"x\.test\.txt: not the test text of x"):
        origin.get(str(folder))
    (folder / "x.test.txt").unlink()
    with pytest.raises(FarziError, match="has no files for test"):
        origin.get(str(folder))
    with pytest.raises(FarziError, match="is no folder"):
        origin.get(str(folder / "x.train.txt"))
    with pytest.raises(FarziError, match="no such folder"):
        origin.get(str(folder / "nowhere"))
