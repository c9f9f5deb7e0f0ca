"""The wanted columns of a log or of a table of names, each row with its number; rows that cannot be read."""

import io
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from farzi.data.columns import VALUE, bare
from farzi.data.content import Content
from farzi.errors import FarziError

DAMAGED = "is not a Parquet file, or a damaged one"
# On some damaged pages polars panics; Python does not count a panic as an Exception.
DAMAGE = (OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException)

Choose = Callable[..., dict[str, str]]
"""Bare names of columns, and `lists`, those that hold lists -> the column of each role."""
Unit = Literal["line", "row", "index"]
"""How rows are numbered: lines of a file or rows of a Parquet file from 1 on, rows of a frame from 0 on."""


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be read; `line` is its number, counted as `unit` says."""

    line: int
    column: str | None
    value: str | None
    reason: str
    unit: Unit = "line"

    def __str__(self) -> str:
        return f"{_numbered(self.unit, self.line)}: {self.problem}"

    @property
    def problem(self) -> str:
        """`column 'timestamp': 'soon' is not a time`."""
        return self.reason if self.column is None else f"column {self.column!r}: {self.reason}"


@dataclass(frozen=True)
class Table:
    """What was read.

    Attributes:
        frame: `row` (UInt32) and a column for each role: String or Categorical; in Parquet and frames of any
            type.
        columns: role -> name of the column in the file.
        bad: rows that are not in the frame because they cannot be cut into fields.
        unit: how `row` counts.
        unread: names of the columns that have no role.
        form: how the file is written, in words.
        notes: what was guessed about the form, and lines that are no rows; a sentence each.
    """

    frame: pl.DataFrame
    columns: dict[str, str]
    bad: list[BadRow] = field(default_factory=list)
    unit: Unit = "line"
    unread: Sequence[str] = ()
    form: str = ""
    notes: Sequence[str] = ()


def unread(names: Iterable[str], columns: dict[str, str]) -> list[str]:
    """The names of the columns that have no role."""
    return [name for name in names if name and name not in columns.values()]


def typed_table(series: Iterable[pl.Series], columns: dict[str, str], unit: Unit, **more: Any) -> Table:
    """A table from columns of any type, one for each role; `more` are other attributes."""
    typed = [values.alias(role) for role, values in zip(columns, series, strict=True)]
    frame = pl.DataFrame(typed).with_row_index("row", 0 if unit == "index" else 1)
    return Table(frame, columns, unit=unit, **more)


def text_frame(
    rows: Sequence[Sequence[Any]], roles: Iterable[str], nested: Collection[str] = ()
) -> pl.DataFrame:
    """Rows of text, of lists of texts where `nested`, each with its number at its end, as a table's frame."""
    types = {role: pl.List(pl.String) if role in nested else pl.String for role in roles}
    return pl.DataFrame(rows, {**types, "row": pl.UInt32}, orient="row")


def value_text(value: Any, role: str) -> tuple[str | None, str | None]:
    """A value of JSON or of Python as text, or None; and why it is none, if it cannot be one.

    Whole floats become whole numbers; NaN, infinities and None are missing.
    """
    if value is None or isinstance(value, str):
        if value is not None and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                return None, "is not Unicode text (half of a surrogate pair, as of an emoji cut in two)"
        return value, None
    if isinstance(value, float):
        finite = value == value and abs(value) != float("inf")
        return (str(int(value)) if value.is_integer() else str(value)) if finite else None, None
    if isinstance(value, bool) and role.startswith(VALUE):
        return str(value).lower(), None
    if isinstance(value, bool | list | tuple | dict | set | bytes):
        return None, f"{quoted(value)} is not one {role}"
    return str(value), None


def read_parquet(data: bytes, source: str, columns: list[str] | None = None) -> pl.DataFrame:
    """Read the bytes of a Parquet file; all columns if None.

    Pages carry no checksum, so damage inside one may go unnoticed; where that matters, compare SHA-256 first.

    Raises:
        FarziError: not a Parquet file, or a damaged one; `source` is its name in the message.
    """
    with _intact(source):
        return pl.read_parquet(io.BytesIO(data), columns=columns)


def parquet_table(content: Content, choose: Choose) -> Table:
    """The columns of a Parquet file, or of those of a folder, that `choose` picks.

    Raises:
        FarziError: as `read_parquet` and `choose`; or files of a folder have other columns.
    """
    files: Any = list(content.files) or io.BytesIO(content.data)
    otherwise = "its Parquet files differ in their columns, or one is damaged" if content.files else DAMAGED
    with _intact(content.source, otherwise):
        table = pl.scan_parquet(files, hive_partitioning=False)
        schema = table.collect_schema()
    full = {bare(name): name for name in schema}
    lists = [bare(name) for name, dtype in schema.items() if isinstance(dtype, pl.List | pl.Array)]
    columns = choose([bare(name) for name in schema], lists=lists)
    with _intact(content.source, otherwise):
        frame = table.select(sorted({full[name] for name in columns.values()})).collect()
    series = (frame[full[name]] for name in columns.values())
    form = f"{len(content.files):,} Parquet files" if content.files else "Parquet"
    return typed_table(series, columns, "row", unread=unread(full, columns), form=form)


def count_rows(data: bytes, source: str) -> int:
    """The number of rows that the bytes of a Parquet file claim; raises as `read_parquet` does."""
    with _intact(source):
        return int(pl.scan_parquet(io.BytesIO(data)).select(pl.len()).collect().item())


@contextmanager
def _intact(source: str, otherwise: str = DAMAGED) -> Iterator[None]:
    """Errors of polars as one line. What a panic of its threads writes to stderr is left out."""
    with tempfile.TemporaryFile() as written:
        try:
            stderr = os.dup(2)
        except OSError:  # there is none
            stderr = -1
        else:
            sys.stderr.flush()
            os.dup2(written.fileno(), 2)
        try:
            yield
        except DAMAGE:
            written.truncate(0)
            raise FarziError(f"{source}: {otherwise}") from None
        finally:
            if stderr >= 0:
                os.dup2(stderr, 2)
                written.seek(0)
                os.write(stderr, written.read())
                os.close(stderr)


def place_of(source: str, unit: Unit, number: int) -> str:
    """A row in a message: `log.csv:17`, `log.parquet, row 17` or `frame, row 17 (counted from 0)`."""
    return f"{source}:{number}" if unit == "line" else f"{source}, {_numbered(unit, number)}"


def setting(name: str, unit: Unit) -> str:
    """A setting in a message: its path in a recipe, or the argument of `load_log` if the log is a frame."""
    return name if unit == "index" else f"data.{name}"


def quoted(value: object) -> str:
    """A value in a message: in quotes, on one line, at most 60 characters."""
    text = str(value)
    return repr(text if len(text) <= 60 else text[:59] + "…")


def _numbered(unit: Unit, number: int) -> str:
    return {"line": f"line {number}", "row": f"row {number}"}.get(unit, f"row {number} (counted from 0)")
