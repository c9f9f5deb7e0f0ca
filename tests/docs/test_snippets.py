"""The Python code of README.md and docs/ runs, and prints what the pages show.

The blocks of a page share their names, as in a notebook. They run in a folder that holds `events.csv` and a
summary in `runs/demo`, with presets small enough for seconds.
"""

import ast
import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import farzi
from tests.docs.blocks import Block, blocks
from tests.docs.conftest import PAGES, ROOT
from tests.docs.small import small_presets, write_events


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small log and its summary."""
    folder = tmp_path_factory.mktemp("demo")
    write_events(folder / "events.csv")
    with pytest.MonkeyPatch.context() as patch:
        small_presets(patch)
        farzi.distill(farzi.load_log(folder / "events.csv"), out=folder / "runs" / "demo")
    return folder


@pytest.fixture(autouse=True)
def _folder(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(demo, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
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
                shown = _without_numbers(block.text)
                assert _without_numbers(printed)[: len(shown)] == shown, f"{block.page}:{block.line}"
        elif block.mark and block.mark.startswith("file "):
            Path(block.mark.removeprefix("file ")).write_text(block.text, encoding="utf-8")
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
