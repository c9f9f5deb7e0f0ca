"""Texts by their settings: the bundled one, the user's own, and settings that do not apply."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from farzi.data import Log, Text, is_text_source, load_data, load_text
from farzi.data.catalog import TEXTS
from farzi.data.fingerprint import fingerprint
from farzi.data.named import BundledText, CopiedText
from farzi.errors import FarziError
from farzi.files import sha256
from farzi.recipe.variants import LogData, TextData


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("".join(f"One day, number {k}. Why not? Yes\n" for k in range(50)))
    return path


def load(file: Path, **settings: Any) -> Text:
    return load_text(TextData(**{"source": str(file), **settings}))


def test_a_file_becomes_tokens(file: Path):
    text = load(file)
    assert isinstance(load_data(TextData(source=str(file))), Text)
    labels = [text.vocabulary.label(int(i)) for i in text.train.items[:12]]
    assert labels == ["one", "day", ",", "number", "0", ".", "why", "not", "?", "yes", "<eos>", "one"]
    assert (len(text.train), len(text.valid), len(text.test)) == (1, 55, 55)
    assert text.vocabulary.frame["count"].sum() == len(text.train.items) == 440
    assert text.valid.bytes is None  # the numbers are unknown words
    assert text.facts["split"]["valid"]["bytes"] == len(
        "".join(f"One day, number {k}. Why not? Yes\n" for k in range(40, 45))
    )
    assert json.loads(json.dumps(text.facts)) == text.facts
    assert text.facts["split"]["test"]["unknown"] == round(5 / 55, 4)
    assert load(file, tokens="subwords", vocabulary_size=300).valid.bytes == 165


@pytest.mark.parametrize("tokens", ["words", "spaces", "bytes", "subwords"])
@pytest.mark.parametrize(
    "text", ["one  two three four five six seven", "a b c d e f g\nh", "a\na b c d e\nf"]
)
def test_a_line_that_is_cut_ends_once(tmp_path: Path, text: str, tokens: str):
    path = tmp_path / "a.txt"
    path.write_text(text)
    size = 257 if tokens == "subwords" else None
    read = load(path, tokens=tokens, valid=0.3, test=0.3, vocabulary_size=size)
    tokenizer, items = Tokenizer.from_str(read.tokenizer), list[int]()
    for part in (read.train, read.valid.texts, read.test.texts):
        items += part.items.tolist()
    whole = list[int]()
    for line in text.split("\n"):
        whole += [*(token + 1 for token in tokenizer.encode(line).ids), read.valid.start]
    assert items == whole
    sizes = [part["bytes"] for name, part in read.facts["split"].items() if name != "rule"]
    assert sum(sizes) == len(text) + 1


def test_pieces_are_the_sentences_of_the_training_text(file: Path):
    text = load(file)
    assert np.array_equal(text.pieces.items, text.train.items)
    assert text.pieces.lengths[:6].tolist() == [6, 3, 2, 6, 3, 2]


def test_every_text_has_a_tokenizer(file: Path):
    for kind in ("words", "spaces", "bytes", "subwords"):
        text = load(file, tokens=kind, vocabulary_size=300 if kind == "subwords" else None)
        tokenizer = Tokenizer.from_str(text.tokenizer)
        assert tokenizer.get_vocab_size() == len(text.vocabulary) - 1
        first = [token + 1 for token in tokenizer.encode("One day, number 0. Why not? Yes").ids]
        assert text.train.items[: len(first)].tolist() == first


def test_no_token_stands_for_padding(file: Path):
    for tokens in ("words", "spaces", "bytes"):
        text = load(file, tokens=tokens)
        for part in (text.train, text.valid.texts, text.test.texts):
            assert part.items.min() > 0
            assert part.items.max() < len(text.vocabulary)


def test_documents_do_not_run_into_each_other(file: Path):
    text = load(file, lines="documents")
    assert (len(text.train), len(text.valid.texts)) == (40, 5)
    assert "last 0.1 of the text" in text.facts["split"]["rule"]


def test_parts_may_be_files_of_their_own(file: Path, tmp_path: Path):
    (tmp_path / "v").write_text("one day\n")
    (tmp_path / "t").write_text("one night\n")
    text = load(file, valid_file=str(tmp_path / "v"), test_file=str(tmp_path / "t"))
    assert (len(text.valid), len(text.test)) == (3, 3)
    assert text.facts["split"]["rule"] == "by separate files"


def test_the_fingerprint_tells_texts_apart(file: Path):
    first = fingerprint(load(file))
    assert fingerprint(load(file)) == first
    assert fingerprint(load(file, test=0.2)) != first
    assert fingerprint(load(file, vocabulary_size=8)) != first


def test_a_text_that_is_not_there(tmp_path: Path):
    with pytest.raises(FarziError, match=r"sotuu: no such file; did you mean sotu\?"):
        load(Path("sotuu"))


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"tokens": "bytes", "vocabulary_size": 9}, "there are always 256"),
        ({"vocabulary_size": 9, "vocabulary_file": "x"}, "give only one of them"),
        ({"source": "sotu", "valid_file": "x"}, r"data\.valid_file applies to files"),
        ({"valid_file": "x"}, r"data\.valid_file and data\.test_file"),
        ({"valid": 0.5, "test": 0.5}, r"data\.valid and data\.test must together"),
    ],
)
def test_settings_that_do_not_fit_are_refused(file: Path, settings: dict[str, Any], line: str):
    with pytest.raises(FarziError, match=line):
        load(file, **settings)


def test_what_is_a_text(file: Path):
    assert is_text_source("sotu")
    assert is_text_source(str(file.parent))
    assert not is_text_source(str(file))
    assert not is_text_source("movielens-small")
    assert isinstance(load_data(LogData()), Log)


def test_sotu_is_bundled_with_its_terms():
    entry = TEXTS["sotu"]
    path = entry.source.get()
    assert sha256(path) == entry.sha256
    assert "CC0 1.0" in path.with_name("LICENSE.sotu").read_text()
    text = load_data(TextData(source="sotu"))
    assert isinstance(text, Text)
    assert len(text.vocabulary) == 2001
    parts = text.facts["split"]
    assert sum(parts[part]["documents"] for part in ("train", "valid", "test")) == 233
    assert sum(parts[part]["tokens"] for part in ("train", "valid", "test")) == entry.rows
    with pytest.raises(FarziError, match=r"data\.file does not apply"):
        entry.source.get("a.txt")
    with pytest.raises(FarziError, match="install farzi again"):
        BundledText("sotu", "sotu.txt.xz", "0" * 64).get()


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[CopiedText, Path]:
    """A text that users have copies of, and the folder of one."""
    monkeypatch.setenv("FARZI_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "mine"
    folder.mkdir()
    sums = {}
    for part in ("train", "valid", "test"):
        data = f" the {part} text \n".encode()
        (folder / f"x.{part}.txt").write_bytes(data)
        sums[part] = hashlib.sha256(data).hexdigest()
    return CopiedText("x", sums), folder


def test_a_users_copy_is_checked_and_kept(own: tuple[CopiedText, Path]):
    origin, folder = own
    with pytest.raises(FarziError, match=r"own copy as data\.file"):
        origin.get()
    assert origin.texts(str(folder))["valid"] == [" the valid text \n"]
    kept = origin.get(str(folder))
    assert sorted(path.name for path in kept.iterdir()) == ["x.test.txt", "x.train.txt", "x.valid.txt"]
    assert origin.get() == origin.get(str(kept)) == kept
    assert origin.texts()["test"] == [" the test text \n"]


def test_another_copy_is_refused(own: tuple[CopiedText, Path]):
    origin, folder = own
    (folder / "x.test.txt").write_text("another")
    with pytest.raises(FarziError, match=r"x\.test\.txt: not the test text of x"):
        origin.get(str(folder))
    (folder / "x.test.txt").unlink()
    with pytest.raises(FarziError, match="has no files for test"):
        origin.get(str(folder))
    with pytest.raises(FarziError, match="no such folder"):
        origin.get(str(folder / "x.train.txt"))
    with pytest.raises(FarziError, match="no such folder"):
        origin.get(str(folder / "nowhere"))
