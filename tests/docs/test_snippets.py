"""The Python code of README.md and docs/ runs, and prints what the pages show.

The blocks of a page share their names, as in a notebook. They run in an empty folder that holds
`events.csv`, with presets small enough for seconds.
"""

import ast
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import Block, blocks
from tests.docs.conftest import PAGES, ROOT
from tests.docs.small import small_presets, write_events


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_events(tmp_path / "events.csv")
    small_presets(monkeypatch)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_code_runs(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run([block for block in blocks(page) if block.mark != "long"], capsys)


LONG = [page for page in PAGES if any(block.mark == "long" for block in blocks(page))]


@pytest.mark.long
@pytest.mark.skipif(not LONG, reason="no page has long code")
@pytest.mark.parametrize("page", LONG, ids=lambda page: str(page.relative_to(ROOT)))
def test_all_python_code_runs(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run(blocks(page), capsys)


def _run(page: list[Block], capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "page"}
    printed = None
    for block in page:
        if block.mark == "output":
            if printed is not None:
                assert _without_numbers(printed) == _without_numbers(block.text), f"{block.page}:{block.line}"
        elif block.language == "python":
            printed = None
            if runs(block.mark):
                # padded, so that a traceback names the line of the page
                tree = ast.parse("\n" * (block.line - 1) + block.text, str(block.page))
                exec(compile(tree, str(block.page), "exec"), names)
                printed = capsys.readouterr().out


def runs(mark: str | None) -> bool:
    """Whether a block with that mark is run here: not if it is skipped, or needs a module that is missing."""
    if mark is None or mark == "long":
        return True
    return mark.startswith("needs ") and importlib.util.find_spec(mark.removeprefix("needs ")) is not None


def _without_numbers(text: str) -> list[str]:
    """The words of each line, numbers replaced and spaces and rules of tables joined."""
    plain = re.sub(r"-?\d+([.,]\d+)*(e-?\d+)?", "#", text)
    return [re.sub(r"[\s─—-]+", " ", line).strip() for line in plain.strip().splitlines()]
