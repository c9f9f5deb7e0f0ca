"""A study's page: question, picture, tables with the command of each row, conclusion and origin."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Printed

from farzi.files import write_text_atomic
from research.report.charts import plot_charts
from research.studies import Done, Findings, Study, Table
from research.studies.folder import PAGES

PAGE, PICTURE = PAGES


def print_findings(findings: Findings, console: Console | None = None) -> None:
    """Print the tables and the conclusion; the commands are on the page only."""
    console = console or Console(highlight=False)
    for one in findings.tables:
        printed = Printed(box=box.SIMPLE_HEAD, title=one.title or None, title_justify="left")
        for place, name in enumerate(one.columns):
            printed.add_column(escape(name), justify="left" if place < one.words else "right")
        for line in one.lines:
            printed.add_row(*(escape(cell) for cell in line.cells))
        console.print(printed)
    console.print(findings.conclusion, markup=False)


def save_study(study: Study, folder: str | Path, rows: Sequence[Done]) -> Path:
    """Write the page and the picture of the measured rows; returns the page's path.

    Raises:
        OSError: the disk is full or a file cannot be written.
    """
    folder, findings = Path(folder), study.conclude(rows)
    if findings.charts:
        plot_charts(findings.charts, folder / PICTURE)
    write_text_atomic(folder / PAGE, study_page(study, rows))
    return folder / PAGE


def study_page(study: Study, rows: Sequence[Done]) -> str:
    """The page as Markdown; the same rows always give the same page."""
    findings = study.conclude(rows)
    parts = [f"# {study.name}", study.question]
    if findings.charts:
        parts.append(f"![{study.name}]({PICTURE})")
    for one in findings.tables:
        if one.title:
            parts.append(f"**{one.title}**")
        parts.append(markdown(one))
    parts += [findings.conclusion, evaluation_line(rows), origin_line(rows)]
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown(table: Table, commands: bool = True) -> str:
    """A table as Markdown, without a line break at its end."""
    heads, rule = list(table.columns), ["---"] * table.words + ["--:"] * (len(table.columns) - table.words)
    commands = commands and any(line.command for line in table.lines)
    if commands:
        heads, rule = [*heads, "command"], [*rule, "---"]
    lines = [f"| {' | '.join(heads)} |", f"|{'|'.join(rule)}|"]
    for line in table.lines:
        cells = [cell.replace("|", "\\|") for cell in line.cells]
        if commands:
            cells.append(f"`{line.command}`" if line.command else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def evaluation_line(rows: Sequence[Done]) -> str:
    """How the figures were measured: data, split, ranking; empty if no row has a recipe."""
    recipes = [recipe for done in rows for recipe in _recipes(done.values)]
    if not recipes:
        return ""
    data, select = recipes[0]["data"], recipes[0]["select"]
    if any("perplexity" in done.figures for done in rows):
        how = "each held-out token is predicted once, over the whole vocabulary; perplexity is per token"
    else:
        seen = "included" if select["seen"] == "keep" else "left out"
        split = f"held-out events (split: {data['split']['type'].replace('_', '-')})"
        how = f"{split} are ranked among all items (those already seen: {seen}); ties count against the model"
    return f"Data: {data['source']}; {how}. Students start from fresh random weights."


def _recipes(value: Any) -> Iterator[dict[str, Any]]:
    """The recipes in a row's values."""
    if isinstance(value, Mapping):
        if {"data", "student", "select"} <= set(value):
            yield dict(value)
        else:
            for one in value.values():
                yield from _recipes(one)
    elif isinstance(value, list):
        for one in value:
            yield from _recipes(one)


def origin_line(rows: Sequence[Done]) -> str:
    """The origin of rows: versions, commits, days, machines, and their time."""
    if not rows:
        return ""

    def all_of(name: str) -> str:
        return ", ".join(
            sorted({str(done.origin[name]) for done in rows if done.origin.get(name) is not None})
        )

    seconds = sum(done.seconds for done in rows)
    took = f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 3600:.1f} hours"
    return (
        f"farzi {all_of('farzi')} at {all_of('commit')}, {all_of('date')}, {all_of('machine')}; "
        f"{took} in all. The setting is in study.json, the raw rows in rows.jsonl."
    )
