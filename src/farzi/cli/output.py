"""What commands print: JSON for programs, aligned text and tables for people."""

import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

json_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--json", "as_json", is_flag=True, help="print JSON, for a program to read"
)


def seen_option(otherwise: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option for the treatment of seen items; `otherwise` tells what holds when it is left out."""
    return click.option(
        "--seen",
        type=click.Choice(["keep", "exclude"]),
        help=f"items of the user's own history: ranked like all others, or left out [{otherwise}]",
    )


def warn_in_one_line() -> None:
    """Show the project's own warnings as it shows errors, without the line of code that gave them."""
    show = warnings.showwarning

    def shown(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if category.__module__.startswith("farzi."):
            click.echo(f"farzi: {message}", err=True)
        else:
            show(message, category, *rest)

    warnings.showwarning = shown


def print_json(value: Any) -> None:
    """A JSON value on stdout; what is not a number in JSON (NaN, infinities) is refused with ValueError."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[str] = ()) -> None:
    """A table; the columns named in `numbers` are set to the right."""
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
    """Nested facts as aligned lines: a group's figures side by side, deeper groups on lines of their own."""
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
            said = [str(plain.pop(inner)) for inner in ("rule", "because") if inner in plain]
            figures = [
                f"{inner.replace('_', ' ')} {_shown(one)}" for inner, one in plain.items() if one is not None
            ]
            text = "; ".join([*said, ", ".join(figures)] if figures else said)
            if text:
                yield label, text
            yield from _lines(groups, f"{label} ")
        elif isinstance(value, list):
            yield from ((label if index == 0 else "", _shown(one)) for index, one in enumerate(value))
        elif value is not None:
            yield label, _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
