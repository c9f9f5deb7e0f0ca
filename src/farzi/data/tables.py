"""The wanted columns out of delimited text, JSON lines or Parquet, each row with the line it stood on."""

import csv
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from farzi.data.columns import bare
from farzi.data.delimited import RECODE, split_lines
from farzi.data.events import BadRow
from farzi.data.opening import Content
from farzi.data.parquet import read_parquet
from farzi.errors import FarziError

DELIMITERS = "\t,;|"
HEAD = 1000  # JSON lines have no header: the keys of so many first lines are the columns
Choose = Callable[[Sequence[str]], dict[str, str]]  # bare column names -> the name of each role's column


@dataclass(frozen=True)
class Table:
    """What was read.

    Attributes:
        frame: one column a role and `row` (UInt32: the line, for Parquet the row, counted from 1). Columns
            are String, out of Parquet those of times keep their type.
        columns: role -> the column's bare name in the file.
        bad: rows that are not in the frame because they cannot be cut into fields.
    """

    frame: pl.DataFrame
    columns: dict[str, str]
    bad: list[BadRow] = field(default_factory=list)


def read_table(content: Content, choose: Choose) -> Table:
    """Read the columns that `choose` picks from the header.

    Raises:
        FarziError: no usable header, no rows, or whatever `choose` raises.
    """
    reader = {"text": _read_text, "json": _read_json, "parquet": _read_parquet}[content.kind]
    table = reader(content, choose)
    if len(table.frame) == 0 and not table.bad:
        raise FarziError(f"{content.source}: has a header but no rows")
    return table


def _read_text(content: Content, choose: Choose) -> Table:
    first, _, rest = content.data.partition(b"\n")
    try:
        header = first.decode("utf-8")
    except UnicodeDecodeError:
        raise FarziError(f"{content.source}:1: the header is not UTF-8 text; {RECODE}") from None
    delimiter = max(DELIMITERS, key=header.count)
    quotes = ":token" not in header  # RecBole's atomic files know no quotes
    try:
        fields = (
            next(csv.reader([header], delimiter=delimiter, strict=True))
            if quotes
            else header.split(delimiter)
        )
    except (csv.Error, StopIteration):
        raise FarziError(f"{content.source}:1: not a header: {header[:60]!r}") from None
    names = [bare(name) for name in fields]
    columns = choose(names)
    frame, bad = split_lines(rest, delimiter, names, columns, quotes)
    return Table(frame, columns, bad)


def _read_json(content: Content, choose: Choose) -> Table:
    bad: list[BadRow] = []
    records = _objects(content.data, bad)
    head = list(itertools.islice(records, HEAD))
    if not head:
        raise FarziError(f"{content.source}:{bad[0].line}: {bad[0].reason}")
    found = dict.fromkeys(key for _, record in head for key in record)
    columns = choose([bare(name) for name in found])
    full = {bare(name): name for name in found}
    values: dict[str, list] = {role: [] for role in columns}
    wanted = [(values[role].append, full[name]) for role, name in columns.items()]
    rows: list[int] = []
    for line, record in itertools.chain(head, records):
        rows.append(line)
        for append, key in wanted:
            value = record.get(key)
            append(value if value is None or isinstance(value, str) else json.dumps(value))
    schema = {**dict.fromkeys(columns, pl.String), "row": pl.UInt32}
    return Table(pl.DataFrame({**values, "row": rows}, schema), columns, bad)


def _objects(data: bytes, bad: list[BadRow]) -> Iterator[tuple[int, dict]]:
    """Line and object, numbers as they are written; lines that hold no object go to `bad`."""
    decode = json.JSONDecoder(parse_int=str, parse_float=str).decode
    for line, text in enumerate(data.split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            record = decode(text.decode("utf-8"))
        except UnicodeDecodeError:
            bad.append(BadRow(line, None, None, f"not UTF-8 text; {RECODE}"))
            continue
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            yield line, record
        else:
            bad.append(BadRow(line, None, None, "not a JSON object; one object a line is wanted"))


def _read_parquet(content: Content, choose: Choose) -> Table:
    columns: dict[str, str] = {}
    full: dict[str, str] = {}

    def wanted(found: list[str]) -> list[str]:
        columns.update(choose([bare(name) for name in found]))
        full.update({bare(name): name for name in found})
        return sorted({full[name] for name in columns.values()})

    frame = read_parquet(content.data, content.source, wanted)
    chosen = []
    for role, name in columns.items():
        values = frame[full[name]].alias(role)
        if values.dtype.is_nested() or values.dtype == pl.Binary:
            raise FarziError(f"{content.source}: column {name!r} holds {values.dtype}, not one {role} a row")
        chosen.append(values if role == "time" else values.cast(pl.String))
    rows = pl.Series("row", np.arange(1, len(frame) + 1), dtype=pl.UInt32)
    return Table(pl.DataFrame([*chosen, rows]), columns)
