"""Gathers the site's sources in one folder.

The pages in docs/ link to other files of the repository (results, examples, recipes), so that the links work
on a code host. The site holds these files as well: each linked file is copied, Markdown files with what they
link to in turn, and links are rewritten to the copies. A folder without a README.md becomes a page that lists
its files. A link to a file that does not exist is an error.
"""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from scripts.docs.command_line import command_line
from scripts.docs.recipe import recipe_reference

GENERATED: dict[str, Callable[[], str]] = {"command line": command_line, "recipe": recipe_reference}
MARK = re.compile(r"^<!-- generated: (.+) -->$", re.MULTILINE)
FENCE = re.compile(r"^( *)(```+).*?^\1\2 *$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(\]\(|\]: +|(?:src|href)=\")(?![a-z+]+:|#|/)([^)\s\"#]+)")
RENAMED = {"CHANGELOG.md": "changelog.md", "README.md": "index.md"}


class BrokenLink(Exception):
    """A page links to a file that does not exist."""


def stage(root: Path, target: Path) -> int:
    """Write the sources of the site to `target`, which is emptied first.

    Returns:
        The number of pages.

    Raises:
        BrokenLink: a page links to a file that does not exist.
    """
    shutil.rmtree(target, ignore_errors=True)
    waiting = [path for path in sorted((root / "docs").rglob("*")) if path.is_file()] + [
        root / "CHANGELOG.md"
    ]
    done: set[Path] = set()
    while waiting:
        source = waiting.pop()
        if source in done:
            continue
        done.add(source)
        copy = target / site_path(source.relative_to(root)) / ("index.md" if source.is_dir() else "")
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            files = sorted(path for path in source.iterdir() if path.is_file())
            lines = [f"- [{file.name}]({file.name})" for file in files]
            copy.write_text("\n".join([f"# {source.relative_to(root)}", "", *lines, ""]), encoding="utf-8")
            waiting += files
            continue
        if source.suffix != ".md":
            shutil.copyfile(source, copy)
            continue
        text, linked = rewritten(source, root)
        copy.write_text(MARK.sub(lambda mark: GENERATED[mark[1]](), text), encoding="utf-8")
        waiting += linked
    return sum(source.suffix == ".md" or source.is_dir() for source in done)


def site_path(path: Path) -> Path:
    """Where a file of the repository stands on the site, both relative to their roots."""
    if path.parts[0] == "docs":
        path = Path(*path.parts[1:])
    elif str(path) in RENAMED:
        return Path(RENAMED[str(path)])
    return path.with_name("index.md") if path.name == "README.md" else path


def rewritten(page: Path, root: Path) -> tuple[str, list[Path]]:
    """A page's text with its links rewritten to files of the site, and the files that it links to."""
    linked: list[Path] = []
    here = site_path(page.relative_to(root)).parent

    def replace(link: re.Match[str]) -> str:
        file = Path(os.path.normpath(page.parent / link[2]))
        if (file / "README.md").is_file():
            file /= "README.md"
        if not file.exists() or not file.is_relative_to(root):
            raise BrokenLink(f"{page.relative_to(root)}: no such file: {link[2]}")
        if file != root / "README.md":  # the site has a first page of its own
            linked.append(file)
        page_there = site_path(file.relative_to(root)) / ("index.md" if file.is_dir() else "")
        return link[1] + os.path.relpath(page_there, here)

    return _outside_code(page.read_text(encoding="utf-8"), lambda text: LINK.sub(replace, text)), linked


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """The text with a change made to everything but its fenced code."""
    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])
