"""What is printed: nothing that moves a cursor, on any terminal and in any pipe."""

import errno
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from farzi.cli import app
from farzi.data import Log, Vocabulary
from farzi.errors import FarziError, FarziWarning, out_of_memory, visible
from farzi.recipe import Recipe
from farzi.summary import Summary, SummaryTensors

HOSTILE = "\x1b]0;title\x07\x1b[2J\x9b31m\x7f\u202e\u2028\n<b>|`"
SHOWN = r"\x1b]0;title\x07\x1b[2J\x9b31m\x7f\u202e\u2028\n<b>|`"
MAIN = [sys.executable, "-c", "from farzi.cli.app import main; main()"]


@pytest.fixture
def folder(tiny: Log, recipe: Recipe, tmp_path: Path) -> Path:
    """A summary whose items have names that are made to take over a terminal, and beyond Latin 1."""
    frame = tiny.vocabulary.frame.with_columns(
        pl.Series("name", [None, *[HOSTILE + "中é"] * 40], dtype=pl.String)
    )
    tensors = SummaryTensors(torch.ones(1, 2, 1), torch.zeros(1, 41))
    source = f"{HOSTILE} [x](y).csv"
    Summary(tensors, Vocabulary(frame), recipe.changed({"data.source": source})).save(tmp_path / "s")
    return tmp_path / "s"


@given(st.text())
def test_text_that_is_visible_has_no_control_characters(text: str):
    made = visible(text)
    assert all(unicodedata.category(one) not in ("Cc", "Cs", "Zl", "Zp") for one in made)
    assert visible(made) == made
    if text.isprintable():
        assert made == text
    as_json = visible(json.dumps(text, ensure_ascii=False), form="\\u{:04x}")
    assert json.loads(as_json) == text


def test_errors_and_warnings_are_visible():
    assert str(FarziError("a\x1b[2J\u202e: no such file")) == r"a\x1b[2J\u202e: no such file"
    assert str(FarziWarning("\x1b")) == r"\x1b"


def printed(*words: str, encoding: str = "utf-8") -> bytes:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([*MAIN, *words], capture_output=True, env=environment, check=True)
    assert done.stderr == b""
    return done.stdout


def test_names_do_not_reach_the_terminal(folder: Path):
    text = printed("inspect", str(folder)).decode()
    assert SHOWN + "中é" in text
    assert all(one == "\n" or one.isprintable() for one in text)
    assert all(line == line.rstrip() for line in text.split("\n"))  # and no line is wrapped in a pipe
    as_json = printed("inspect", str(folder), "--json").decode()
    assert all(one == "\n" or one.isprintable() for one in as_json)
    assert json.loads(as_json)[0][0]["input"][0]["name"] == HOSTILE + "中é"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_an_encoding_lacks_is_shown_by_its_number(folder: Path, encoding: str):
    text = printed("inspect", str(folder), encoding=encoding).decode(encoding)
    assert r"\u4e2d" in text
    assert (r"\xe9" if encoding == "ascii" else "é") in text
    as_json = printed("inspect", str(folder), "--json", encoding=encoding).decode("ascii")
    assert json.loads(as_json)[0][0]["input"][0]["name"] == HOSTILE + "中é"


@pytest.mark.parametrize(
    "words",
    [[HOSTILE], ["--" + HOSTILE], ["inspect", HOSTILE], ["distill", "--recipe", HOSTILE, "--out", "x"]],
)
def test_error_lines_are_visible(words: list[str]):
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert all(one == "\n" or one.isprintable() for one in result.stderr)
    assert len(result.stderr.strip().split("\n")) == 1


def test_a_card_is_markdown_of_this_project_alone(folder: Path):
    text = (folder / "README.md").read_text()
    assert all(one == "\n" or one.isprintable() for one in text)
    assert r"\<b\>\|\` \[x\](y).csv" in text
    assert "<b>" not in text.split("---")[2]


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.empty(10**9, 10**6),
        lambda: torch.empty(10**15, 10**15),
        lambda: np.empty((10**9, 10**6)),
        lambda: np.empty((10**10, 10**10)),
        lambda: np.empty((10**30,)),
        lambda: bytearray(2**62),
    ],
)
def test_errors_of_memory_are_recognised(make: object):
    with pytest.raises((MemoryError, RuntimeError, ValueError)) as caught:
        make()  # type: ignore[operator]
    assert out_of_memory(caught.value)


def test_other_errors_are_not_of_memory():
    assert out_of_memory(OSError(errno.ENOMEM, "Cannot allocate memory"))
    for error in (OSError(errno.ENOENT, "No such file"), ValueError("x"), RuntimeError("shape"), KeyError()):
        assert out_of_memory(error) is None
