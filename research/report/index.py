"""The README of a folder of results: the headline tables, and one line for each experiment in it."""

import json
from pathlib import Path
from typing import Any

from farzi.errors import FarziError
from farzi.files import write_text_atomic
from research.report.page import PAGE, markdown
from research.studies import STUDIES, Done, Study, current, read_rows, recorded

HEADLINE = "headline"
"""The study whose tables come first."""

NOTES = "NOTES.md"
"""Text written by hand, which follows the heading."""

INTRODUCTION = (
    "Written by `python -m research --readme`; only the text of {notes} is written by hand. Rows measured "
    "before the studies moved record their command as `farzi study ...`, which is now `python -m research "
    "...`, run in the project's root, and their recipe in the former flat form. Recorded paths `recipes/` "
    "and `results/` are now `research/recipes/` and `research/results/`."
)


def save_readme(folder: str | Path) -> Path:
    """Write the README.md of a folder of results, and return its path.

    Raises:
        FarziError: there is no such folder, or a file in it is damaged.
        OSError: the disk is full or the file cannot be written.
    """
    path = Path(folder) / PAGE
    write_text_atomic(path, readme(folder))
    return path


def readme(folder: str | Path) -> str:
    """The README's text; the same files always give the same text.

    Raises:
        FarziError: there is no such folder, or a file in it is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FarziError(f"{folder}: no such folder of results")
    notes = folder / NOTES
    parts = ["# Results", INTRODUCTION.format(notes=f"[{NOTES}]({NOTES})" if notes.is_file() else NOTES)]
    if notes.is_file():
        parts.append(notes.read_text(encoding="utf-8").strip())
    places = sorted(path for path in folder.iterdir() if path.is_dir())
    started = [(path, *there) for path in places if (there := study_of(path)) is not None]
    done = [entry for entry in started if entry[2]]
    for path, study, rows in done:
        if study.name == HEADLINE:
            parts += _headline(path, study, rows)
    if done:
        lines = ["## Studies", "", "| folder | question | first conclusion |", "|---|---|---|"]
        lines += [
            f"| [{path.name}]({path.name}/{PAGE}) | {study.question} | {study.conclude(rows).headline} |"
            for path, study, rows in done
        ]
        parts.append("\n".join(lines))
    parts += _comparisons(places)
    parts += _others([path for path in places if path not in {entry[0] for entry in started}])
    return "\n\n".join(parts) + "\n"


def study_of(folder: str | Path) -> tuple[Study, list[Done]] | None:
    """The study in a folder and its rows of the folder's setting; None if there is none.

    Raises:
        FarziError: a file is damaged, or the study is not known here.
    """
    there = recorded(folder)
    if there is None:
        return None
    name, setting = there
    if name not in STUDIES:
        raise FarziError(f"{folder}: holds the study {name!r}, which is not known here")
    return STUDIES[name], current(list(STUDIES[name].grid(setting)), read_rows(folder))


def _headline(path: Path, study: Study, rows: list[Done]) -> list[str]:
    findings = study.conclude(rows)
    tables = [markdown(one, commands=False) for one in findings.tables]
    return [f"## [{path.name}]({path.name}/{PAGE})", *tables, findings.conclusion]


def _comparisons(places: list[Path]) -> list[str]:
    lines = []
    for path in places:
        if (path / "comparison.md").is_file():
            commands = [_json(path / name).get("command") for name in ("run.json", "comparison.json")]
            text = ", then ".join(f"`{command}`" for command in commands if command)
            lines.append(f"| [{path.name}]({path.name}/comparison.md) | {text} |")
    if not lines:
        return []
    return [
        "\n".join(["## Summaries compared with controls", "", "| folder | commands |", "|---|---|", *lines])
    ]


def _others(places: list[Path]) -> list[str]:
    lines = []
    for path in places:
        pages = sorted(page for page in path.glob("*.md") if page.name != "comparison.md")
        pages = pages or sorted(path.glob("*.json"))
        if pages and not (path / "comparison.md").is_file():
            links = ", ".join(f"[{page.name}]({path.name}/{page.name})" for page in pages)
            lines.append(f"- {path.name}: {links}")
    return ["\n".join(["## Other measurements", "", *lines])] if lines else []


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError:
        raise FarziError(f"{path}: damaged; restore it") from None
