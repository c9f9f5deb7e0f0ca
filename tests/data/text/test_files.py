"""Text files and folders: what is read, which part it is, and what is refused in one line."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from farzi.data.text.documents import documents_of, part_of, read_texts
from farzi.data.text.splits import Position, Random, sorted_by
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
    assert read_texts(paths[0], paths[1], paths[2]) == {"train": ["a"], "valid": ["b"], "test": ["c"]}


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
    (empty / "valid.txt").write_text("x")
    (empty / "notes").write_text("x")
    assert set(read_texts(empty)) == {"train", "valid", "test"}


@pytest.mark.parametrize(
    "about", ["README", "readme.md", "README.txt", "LICENSE.txt", "Licence", "notes.txt"]
)
def test_parts_are_read_whatever_else_is_beside_them(tmp_path: Path, about: str):
    for name in ("wiki.train.tokens", "wiki.valid.tokens.gz", "wiki.test.tokens"):
        data = name.encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    (tmp_path / about).write_text("about these")
    assert read_texts(tmp_path)["train"] == ["wiki.train.tokens"]


def test_a_file_about_the_texts_is_no_text(tmp_path: Path):
    (tmp_path / "README.txt").write_text("about these")
    assert read_texts(tmp_path) == {"train": ["about these"]}  # there is nothing else
    (tmp_path / "corpus.tokens").write_text("the corpus")
    assert read_texts(tmp_path) == {"train": ["the corpus"]}


@pytest.mark.parametrize("before", [0, 70_000])
def test_nul_is_refused_wherever_it_is(tmp_path: Path, before: int):
    path = tmp_path / "a.txt"
    path.write_text("x\n" * before + "one\nt\0wo\n")
    assert refused(path).startswith(f"{path}:{before + 2}: is not text: it has the control character U+0000")
    path.write_text("x\n" * before + "one\n\x1a")  # the end of a file of DOS
    assert read_texts(path)["train"][0].endswith("one\n")


def test_lines_are_sentences_documents_or_nothing():
    text = "one two\n\n three \n"
    assert documents_of(text, "sentences") == [["one two", "three"]]
    assert documents_of(text, "documents") == [["one two"], ["three"]]
    assert documents_of(text, "running") == [["one two\n\n three"]]
    for lines in ("sentences", "documents", "running"):
        assert documents_of(" \n", lines) == []


def test_a_split_keeps_documents_whole_where_it_can():
    documents = [[f"line {k:03}"] for k in range(20)]
    train, valid, test = Position()(documents, 0.1, 0.2, "x")
    assert (train, valid, test) == (documents[:14], documents[14:16], documents[16:])


def test_a_split_cuts_at_lines_else_at_spaces():
    lines = [f"{k}" * 10 for k in range(10)]
    train, valid, test = Position()([lines], 0.1, 0.1, "x")
    assert (train, valid, test) == ([lines[:8]], [lines[8:9]], [lines[9:]])
    words = " ".join(lines)
    train, valid, test = Position()([[words]], 0.2, 0.2, "x")
    assert train[0][0] + valid[0][0] + test[0][0] == words
    of_lines = Position()([["one two three", "four", "five six"]], 0.3, 0.3, "x")
    assert of_lines == ([["one two three"]], [["four"]], [["five six"]])
    assert Position()([["a b c d e f g h i j", "k"]], 0.2, 0.2, "x")[2] == [[" j", "k"]]  # two lines
    assert 55 <= len(train[0][0]) <= 80 <= len(train[0][0] + valid[0][0]) <= 99


def test_a_split_that_leaves_nothing_is_refused():
    with pytest.raises(FarziError, match="x: too short for a split"):
        Position()([["word"]], 0.1, 0.1, "x")


def test_a_random_split_holds_out_whole_documents_from_everywhere():
    documents = [[f"line {k:03}"] for k in range(100)]
    parts = Random()(documents, 0.1, 0.2, "x")
    assert [len(part) for part in parts] == [70, 10, 20]
    assert sorted(one for part in parts for one in part) == documents
    assert all(part == sorted(part) for part in parts)
    assert min(parts[2]) < documents[30] < documents[70] < max(parts[2])
    assert Random()(documents, 0.1, 0.2, "x") == parts != Random(draw=1)(documents, 0.1, 0.2, "x")
    with pytest.raises(FarziError, match=r"a random split needs 3 or more.*data\.lines=documents"):
        Random()([["one", "two"]], 0.1, 0.1, "x")


def test_documents_that_are_sorted_are_noticed():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), int(rng.integers(3, 9)))) for _ in range(60)]
    mixed = [[f"{one} and {other}"] for one, other in zip(words, reversed(words))]
    assert sorted_by(mixed) is None
    assert sorted_by([["the same line"]] * 50) is None
    assert sorted_by(sorted(mixed, key=lambda lines: len(lines[0]))) == "length"
    assert sorted_by(sorted(mixed, reverse=True)) == "the alphabet"
    assert sorted_by([sorted(line for lines in mixed for line in lines)]) == "the alphabet"
    of_class = [[f"{'pos' if k < 40 else 'neg'}\t{lines[0]}"] for k, lines in enumerate(mixed)]
    assert sorted_by(of_class) == "their first word"
    assert sorted_by([["\t".join(reversed(line.split("\t")))] for [line] in of_class]) == "their last word"
    assert sorted_by(of_class[::2] + of_class[1::2]) is None


def test_a_folder_of_a_log_is_no_text(tmp_path: Path):
    (tmp_path / "ratings.csv").write_text("userId,movieId\n1,2\n")
    (tmp_path / "README.txt").write_text("about")
    assert "ratings.csv: to read a log, give its file" in refused(tmp_path)


def test_several_texts_of_a_part_are_not_mixed(tmp_path: Path):
    for part in ("train", "valid", "test"):
        (tmp_path / f"ptb.{part}.txt").write_text("a b\n")
        (tmp_path / f"ptb.char.{part}.txt").write_text("a _ b\n")
    assert "has several texts for train" in refused(tmp_path)
