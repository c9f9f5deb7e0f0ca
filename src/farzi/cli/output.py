"""What commands print: JSON for programs, aligned text and tables for people."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click


def print_json(value: Any) -> None:
    """Print a JSON value. Raises ValueError for numbers that JSON does not have (NaN, infinities)."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Iterable[str] = ()) -> None:
    """Print a table; the columns named in `numbers` are aligned to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    right = set(numbers)
    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    Console().print(table)


def print_facts(facts: dict[str, Any]) -> None:
    """Print nested facts as aligned lines: a group's figures in one line, groups in it in further lines."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in _lines(facts, ""):
        grid.add_row(Text(label, style="bold"), Text(text))
    Console().print(grid)


def _lines(facts: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in facts.items():
        label = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(value, dict):
            groups = {name: one for name, one in value.items() if isinstance(one, dict | list)}
            plain = {name: one for name, one in value.items() if name not in groups and one is not None}
            words = [str(plain.pop(name)) for name in ("rule", "because") if name in plain]
            figures = ", ".join(f"{name.replace('_', ' ')} {_text(one)}" for name, one in plain.items())
            if text := "; ".join(filter(None, [*words, figures])):
                yield label, text
            yield from _lines(groups, f"{label} ")
        elif isinstance(value, list) and any(" " in str(one) for one in value):  # sentences
            yield from zip([label, *[""] * len(value)], map(str, value), strict=False)
        elif value not in (None, [], ""):
            yield label, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(map(_text, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
