"""The commands of README.md and docs/ exist, and so do their options and the Makefile's targets."""

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from farzi.cli import app
from tests.docs.blocks import blocks, shell_lines
from tests.docs.conftest import PAGES, ROOT
from tests.docs.small import write_events

CHEAP = ("data", "recipe")
"""Commands that are run, not only parsed."""

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
COMMANDS = [
    pytest.param(command, id=f"{page.relative_to(ROOT)}:{line}")
    for page in PAGES
    for block in blocks(page)
    if block.language in ("sh", "bash", "console") and block.mark not in ("skip", "output")
    for line, command in shell_lines(block)
]


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_known(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(command)
    if words[0] == "farzi":
        parse(words[1:])
        if words[1] in CHEAP or "--help" in words:
            write_events(tmp_path / "events.csv")
            (tmp_path / "book.txt").write_text("the cat sat on the mat .\n" * 60)
            monkeypatch.chdir(tmp_path)
            result = CliRunner().invoke(app, words[1:])
            assert result.exit_code == 0, result.output
    elif words[0] == "make":
        assert {word for word in words[1:] if "=" not in word} <= TARGETS


def parse(words: list[str]) -> None:
    """Parse a call of `farzi` without running it.

    Raises:
        click.UsageError: a command or an option does not exist, or lacks its value.
    """
    command: click.Command = app
    context = click.Context(app, info_name="farzi")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, info_name=name, parent=context)
    values, extra, _ = command.make_parser(context).parse_args(list(words))
    assert not extra, f"too many arguments: {extra}"
    if "--help" in words:
        return
    for parameter in command.get_params(context):
        missing = parameter.required and values.get(parameter.name or "") is None
        assert not missing, f"{parameter.get_error_hint(context)} is missing"


def test_an_unknown_option_is_noticed() -> None:
    with pytest.raises(click.NoSuchOption):
        parse(["distill", "--no-such-option", "1"])


def test_every_page_is_in_the_sites_menu() -> None:
    menu = (ROOT / "zensical.toml").read_text()
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    names = [str(page.with_name("index.md") if page.name == "README.md" else page) for page in pages]
    assert not [name for name in names if f'"{name}"' not in menu]


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert len(Path(ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1300
    assert lines.index("```python") < 45
