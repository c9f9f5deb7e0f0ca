"""Text files and folders: what is read, which part it is, and what is refused in one line."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from farzi.data.text.documents import documents_of, part_of, read_texts, split_documents
from farzi.errors import FarziError


@pytest.mark.parametrize(
    ("suffix", "pack"), [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress), (".bz2", bz2.compress)]
)
def test_a_file_is_read_plain_or_compressed(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]):
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(pack("Größe\r\nzwei\r\n".encode()))
    assert read_texts(path) == {"train": ["Größe\nzwei\n"]}


def test_a_folder_is_its_text_files_by_name(tmp_path: Path):
    for name in ("b.txt", "a.txt", "LICENSE", ".hidden.txt"):
        (tmp_path / name).write_text(f"in {name}")
    assert read_texts(tmp_path) == {"train": ["in a.txt", "in b.txt"]}


def test_a_folder_with_parts_in_its_names_is_split_so(tmp_path: Path):
    for name in ("x.train.1.txt", "x.train.2.txt", "x.valid.txt", "x.test.txt"):
        (tmp_path / name).write_text(name)
    assert read_texts(tmp_path) == {
        "train": ["x.train.1.txt", "x.train.2.txt"],
        "valid": ["x.valid.txt"],
        "test": ["x.test.txt"],
    }


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("ptb.train.txt.xz", "train"),
        ("dev", "valid"),
        ("wiki-validation-00.txt", "valid"),
        ("a_test.txt", "test"),
        ("trainer.txt", None),
        ("latest.txt", None),
        ("train-test.txt", None),
    ],
)
def test_parts_are_whole_words_of_a_name(name: str, part: str | None):
    assert part_of(Path(name)) == part


def test_three_files_may_be_given(tmp_path: Path):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path in paths:
        path.write_text(path.name)
    assert read_texts(*paths) == {"train": ["a"], "valid": ["b"], "test": ["c"]}


def refused(path: Path, valid: Path | None = None) -> str:
    with pytest.raises(FarziError) as caught:
        read_texts(path, valid)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_read_is_one_line(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntwo\nM\xe4rz\n")
    assert refused(path).startswith(f"{path}:3: not UTF-8 text (byte 0xe4)")
    assert "give both data.valid_file and data.test_file" in refused(path, path)
    path.write_text(" \n")
    assert refused(path) == f"{path}: the file is empty"
    assert refused(tmp_path / "b.txt") == f"{tmp_path / 'b.txt'}: no such file; did you mean {path}?"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert refused(empty) == f"{empty}: the folder has no files"
    for name in ("train", "test"):
        (empty / name).write_text("x")
    assert "none for valid" in refused(empty)
    (empty / "valid").write_text("x")
    (empty / "notes").write_text("x")
    assert refused(empty).startswith(f"{empty / 'notes'}: its name has neither train, valid nor test")


def test_lines_are_sentences_documents_or_nothing():
    text = "one two\n\n three \n"
    assert documents_of(text, "sentences") == [["one two", "three"]]
    assert documents_of(text, "documents") == [["one two"], ["three"]]
    assert documents_of(text, "running") == [["one two\n\n three"]]
    for lines in ("sentences", "documents", "running"):
        assert documents_of(" \n", lines) == []


def test_a_split_keeps_documents_whole_where_it_can():
    documents = [[f"line {k:03}"] for k in range(20)]
    train, valid, test = split_documents(documents, 0.1, 0.2, "x")
    assert (train, valid, test) == (documents[:14], documents[14:16], documents[16:])


def test_a_split_cuts_at_lines_else_at_spaces():
    lines = [f"{k}" * 10 for k in range(10)]
    train, valid, test = split_documents([lines], 0.1, 0.1, "x")
    assert (train, valid, test) == ([lines[:8]], [lines[8:9]], [lines[9:]])
    words = " ".join(lines)
    train, valid, test = split_documents([[words]], 0.2, 0.2, "x")
    assert " ".join([train[0][0], valid[0][0], test[0][0]]) == words
    assert 55 <= len(train[0][0]) <= 80 <= len(train[0][0] + valid[0][0]) <= 99


def test_a_split_that_leaves_nothing_is_refused():
    with pytest.raises(FarziError, match="x: too short for a split"):
        split_documents([["word"]], 0.1, 0.1, "x")
    with pytest.raises(FarziError, match="together be below 1"):
        split_documents([["a b c d"]], 0.5, 0.5, "x")
