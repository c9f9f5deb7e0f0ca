"""What commands print: lines, JSON for programs, aligned text and tables for people.

All of it passes here, where control characters in names, ids and paths become visible: what somebody else
wrote must not move a user's cursor. (`farzi.cli.progress` does the same for a run's progress.)
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from farzi.errors import visible


def say(text: object, err: bool = False) -> None:
    """Print lines to stdout, or to stderr."""
    print(visible(text, keep="\n"), file=sys.stderr if err else sys.stdout, flush=True)


def print_json(value: Any) -> None:
    """Print a JSON value, in ASCII where stdout has no UTF-8.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not have.
    """
    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    text = json.dumps(value, indent=2, ensure_ascii=ascii_only, allow_nan=False)
    print(visible(text, keep="\n", form="\\u{:04x}"))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Iterable[str] = ()) -> None:
    """Print a table; the columns named in `numbers` are aligned to the right."""
    from rich import box
    from rich.table import Table

    right = set(numbers)
    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    _print(table, rows)


def print_facts(facts: dict[str, Any]) -> None:
    """Print nested facts as aligned lines: a group's figures in one line, groups in it in further lines."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    _print(grid, _lines(facts, ""))


def _print(table: Any, rows: Iterable[Sequence[Any]]) -> None:
    """Print a table with these rows; outside a terminal no line is wrapped, and none ends in blanks."""
    from rich.console import Console
    from rich.text import Text

    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 2**16
    with console.capture() as printed:
        console.print(table)
    print("\n".join(map(str.rstrip, printed.get().split("\n"))), end="")


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
