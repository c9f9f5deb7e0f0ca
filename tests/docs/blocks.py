"""The fenced code of a Markdown page, with the marks that stand before a block.

A mark is an HTML comment on the line before the fence: `<!-- test: skip, why -->`. Marks are

    skip        not run; why comes after a comma
    file NAME   written to that file, which later blocks may read or import
    long        run by the long tests only
    needs NAME  run where that module is installed
    output      the first lines that the Python block before it prints; numbers may differ
"""

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

MARK = re.compile(r"<!-- test: (skip|long|output|needs \w+|file [\w.-]+)(?:, .+)? -->")


@dataclass(frozen=True)
class Block:
    """Fenced code: where it is, what language it has, what it holds, and its mark if it has one."""

    page: Path
    line: int
    language: str
    text: str
    mark: str | None


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page, from top to bottom."""
    text = page.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = []
    for token in MarkdownIt().parse(text):
        if token.type == "fence" and token.map is not None:
            first = token.map[0]
            mark = MARK.fullmatch(lines[first - 1].strip()) if first else None
            language = token.info.split()[0] if token.info else ""
            found.append(Block(page, first + 2, language, token.content, mark[1] if mark else None))
    return found


def shell_lines(block: Block) -> list[tuple[int, str]]:
    """The commands of a shell block with their line numbers: continued lines joined, comments left out."""
    commands: list[tuple[int, str]] = []
    joined = ""
    for number, line in enumerate(block.text.splitlines(), block.line):
        joined += line.removeprefix("$ ")
        if joined.endswith("\\"):
            joined = joined[:-1]
            continue
        command = re.sub(r"(^|\s)#.*", "", joined).strip()
        if command:
            commands.append((number, command))
        joined = ""
    return commands
