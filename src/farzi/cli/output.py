"""What commands print: JSON for programs, aligned text and tables for people."""

import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

json_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--json", "as_json", is_flag=True, help="print JSON, for programs"
)


def warn_in_one_line() -> None:
    """Print this project's warnings like its errors, without the line of code that raised them."""
    default = warnings.showwarning

    def in_one_line(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if category.__module__.startswith("farzi."):
            click.echo(f"farzi: {message}", err=True)
        else:
            default(message, category, *rest)

    warnings.showwarning = in_one_line


def print_json(value: Any) -> None:
    """Print a JSON value. Raises ValueError for numbers that JSON does not have (NaN, infinities)."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[str] = ()) -> None:
    """Print a table; the columns named in `numbers` are aligned to the right."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    right = set(numbers)
    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console().print(table)


def print_facts(facts: dict[str, Any]) -> None:
    """Print nested facts as aligned lines: a group's figures in one line, deeper groups in further lines."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in _lines(facts, ""):
        grid.add_row(Text(label, style="bold"), Text(text))
    Console().print(grid)


def _lines(facts: dict[str, Any], prefix: str) -> Iterable[tuple[str, str]]:
    for key, value in facts.items():
        label = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(value, dict):
            groups = {inner: one for inner, one in value.items() if isinstance(one, dict | list)}
            plain = {inner: one for inner, one in value.items() if inner not in groups}
            words = [str(plain.pop(inner)) for inner in ("rule", "because") if inner in plain]
            figures = [
                f"{inner.replace('_', ' ')} {_value_text(one)}"
                for inner, one in plain.items()
                if one is not None
            ]
            text = "; ".join([*words, ", ".join(figures)] if figures else words)
            if text:
                yield label, text
            yield from _lines(groups, f"{label} ")
        elif isinstance(value, list):
            yield from ((label if index == 0 else "", _value_text(one)) for index, one in enumerate(value))
        elif value is not None:
            yield label, _value_text(value)


def _value_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
