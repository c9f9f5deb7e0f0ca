"""The wanted columns of delimited text, JSON lines or Parquet, each row with its line number.

Two readers of delimited text agree: text without quotes is checked on its bytes and cut by polars; text with
quotes, or with bytes that are not UTF-8, goes through the standard library's reader, which is slower and
counts lines across quoted line breaks.
"""

import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl

from farzi.data.columns import bare
from farzi.data.content import Content
from farzi.errors import FarziError

DELIMITERS = "\t,;|"
HEAD = 1000  # JSON lines have no header: the keys of this many first lines are the columns
RECODE = "save the file as UTF-8 (iconv -f LATIN1 -t UTF-8)"
NOT_UTF8 = re.compile("[\udc80-\udcff]")  # what "surrogateescape" makes of bytes that are not UTF-8
# On some damaged pages polars panics; Python does not count a panic as an Exception.
DAMAGE = (OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException)

Choose = Callable[[Sequence[str]], dict[str, str]]  # bare column names -> the column of each role
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
        frame: `row` (UInt32) and a String column for each role; times of Parquet and frames keep their type.
        columns: role -> name of the column in the file.
        bad: rows that are not in the frame because they cannot be cut into fields.
    """

    frame: pl.DataFrame
    columns: dict[str, str]
    bad: list[BadRow] = field(default_factory=list)
    unit: Unit = "line"


def read_table(content: Content, choose: Choose) -> Table:
    """Read the columns that `choose` picks from the header.

    Raises:
        FarziError: there is no usable header or no row; or what `choose` raises.
    """
    reader = {"text": _read_text, "json": _read_json, "parquet": _read_parquet}[content.kind]
    table = reader(content, choose)
    if len(table.frame) == 0 and not table.bad:
        raise FarziError(f"{content.source}: has a header but no rows")
    return table


def typed_table(series: Iterable[pl.Series], columns: dict[str, str], source: str, unit: Unit) -> Table:
    """A table from columns of any type, one for each role; `columns` names them in messages.

    Ids become text: whole floats as whole numbers, NaN as missing, everything else as polars writes it.

    Raises:
        FarziError: a column holds lists, records, bytes or Python objects.
    """
    typed = []
    for (role, name), values in zip(columns.items(), series, strict=True):
        if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
            raise FarziError(f"{source}: column {name!r} holds {values.dtype}, not one {role} per row")
        typed.append((values if role == "time" else _as_text(values)).alias(role))
    frame = pl.DataFrame(typed).with_row_index("row", 0 if unit == "index" else 1)
    return Table(frame, columns, unit=unit)


def read_parquet(data: bytes, source: str, columns: list[str] | None = None) -> pl.DataFrame:
    """Read the bytes of a Parquet file; all columns if None.

    Pages carry no checksum, so damage inside one may go unnoticed; where that matters, compare SHA-256 first.

    Raises:
        FarziError: not a Parquet file, or a damaged one; `source` is its name in the message.
    """
    with _intact(source):
        return pl.read_parquet(io.BytesIO(data), columns=columns)


def count_rows(data: bytes, source: str) -> int:
    """The number of rows that the bytes of a Parquet file claim; raises as `read_parquet` does."""
    with _intact(source):
        return int(pl.scan_parquet(io.BytesIO(data)).select(pl.len()).collect().item())


@contextmanager
def _intact(source: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE:
        raise FarziError(f"{source}: is not a Parquet file, or a damaged one") from None


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


def _as_text(values: pl.Series) -> pl.Series:
    text = values.cast(pl.String)
    if not values.dtype.is_float():
        return text
    x = pl.col("x")
    whole = pl.when(x == x.floor()).then(x.cast(pl.Int64, strict=False)).cast(pl.String)
    written = pl.coalesce(whole, pl.when(x.is_not_nan()).then(x.cast(pl.String)))
    return values.to_frame("x").select(written).to_series()


def _read_parquet(content: Content, choose: Choose) -> Table:
    with _intact(content.source):
        names = list(pl.read_parquet_schema(io.BytesIO(content.data)))
    columns = choose([bare(name) for name in names])
    full = {bare(name): name for name in names}
    frame = read_parquet(content.data, content.source, sorted({full[name] for name in columns.values()}))
    return typed_table((frame[full[name]] for name in columns.values()), columns, content.source, "row")


def _read_json(content: Content, choose: Choose) -> Table:
    bad: list[BadRow] = []
    records = _json_objects(content.data, bad)
    head = list(itertools.islice(records, HEAD))
    if not head:
        raise FarziError(f"{content.source}:{bad[0].line}: {bad[0].reason}")
    keys = dict.fromkeys(key for _, record in head for key in record)
    columns = choose([bare(name) for name in keys])
    full = {bare(name): name for name in keys}
    rows = []
    for line, record in itertools.chain(head, records):
        values = (record.get(full[name]) for name in columns.values())
        rows.append(
            [*(one if one is None or isinstance(one, str) else json.dumps(one) for one in values), line]
        )
    return Table(_text_frame(rows, columns), columns, bad)


def _json_objects(data: bytes, bad: list[BadRow]) -> Iterator[tuple[int, dict]]:
    """Line and object, numbers as they are written; lines that hold no object are appended to `bad`."""
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
            bad.append(BadRow(line, None, None, "not a JSON object; write one object per line"))


def _read_text(content: Content, choose: Choose) -> Table:
    first, _, rest = content.data.partition(b"\n")
    try:
        header = first.decode("utf-8")
    except UnicodeDecodeError:
        raise FarziError(f"{content.source}:1: the header is not UTF-8 text; {RECODE}") from None
    delimiter = max(DELIMITERS, key=header.count)
    quotes = ":token" not in header  # RecBole's atomic files have no quotes
    quoting = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    try:
        names = next(csv.reader([header], delimiter=delimiter, quoting=quoting, strict=True))
    except (csv.Error, StopIteration):
        raise FarziError(f"{content.source}:1: not a header: {header[:60]!r}") from None
    names = [bare(name) for name in names]
    columns = choose(names)
    indices = {role: names.index(column) for role, column in columns.items()}
    if (quotes and b'"' in rest) or NOT_UTF8.search(rest.decode("utf-8", "surrogateescape")):
        frame, bad = _split_quoted(rest, delimiter, names, indices, quoting)
    else:
        frame, bad = _split_plain(rest, delimiter, len(names), indices)
    return Table(frame, columns, bad)


def _split_plain(
    data: bytes, delimiter: str, width: int, indices: dict[str, int]
) -> tuple[pl.DataFrame, list[BadRow]]:
    r"""Cut lines ending in `\n`, the first of which is line 2, without quotes."""
    if not data.endswith(b"\n"):
        data += b"\n"
    buffer = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(buffer == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    delimiters = np.flatnonzero(buffer == ord(delimiter))
    fields = np.searchsorted(delimiters, ends) - np.searchsorted(delimiters, starts) + 1
    blank = starts == ends
    wrong = (fields != width) & ~blank
    bad = [BadRow(int(at) + 2, None, None, _misfit(int(fields[at]), width)) for at in np.flatnonzero(wrong)]
    good = ~(wrong | blank)
    if not good.any():
        return _text_frame([], indices), bad
    if not good.all():
        data = buffer[np.repeat(good, ends - starts + 1)].tobytes()
    columns = sorted(set(indices.values()))
    frame = pl.read_csv(
        data, has_header=False, separator=delimiter, quote_char=None, infer_schema=False, columns=columns
    )
    chosen = [frame.to_series(columns.index(index)).alias(role) for role, index in indices.items()]
    rows = pl.Series("row", np.flatnonzero(good) + 2, dtype=pl.UInt32)
    return pl.DataFrame([*chosen, rows]), bad


def _split_quoted(
    data: bytes, delimiter: str, names: list[str], indices: dict[str, int], quoting: Literal[0, 3]
) -> tuple[pl.DataFrame, list[BadRow]]:
    """As `_split_plain`; fields may stand in double quotes, and bytes need not be UTF-8."""
    text = io.StringIO(data.decode("utf-8", "surrogateescape"), newline="\n")
    reader = csv.reader(text, delimiter=delimiter, quoting=quoting, strict=True)
    width, rows, bad = len(names), [], []
    limit = csv.field_size_limit(1 << 30)
    try:
        while True:
            line = reader.line_num + 2
            try:
                record = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                bad.append(BadRow(line, None, None, f"quotes that do not match ({error})"))
                continue
            if not record:
                continue
            if NOT_UTF8.search("".join(record)):
                bad.append(_not_utf8(line, record, names))
            elif len(record) != width:
                bad.append(BadRow(line, None, None, _misfit(len(record), width)))
            else:
                rows.append([*(record[index] for index in indices.values()), line])
    finally:
        csv.field_size_limit(limit)
    return _text_frame(rows, indices), bad


def _text_frame(rows: list[list[Any]], roles: Iterable[str]) -> pl.DataFrame:
    return pl.DataFrame(rows, {**dict.fromkeys(roles, pl.String), "row": pl.UInt32}, orient="row")


def _not_utf8(line: int, record: list[str], names: list[str]) -> BadRow:
    at = next(index for index, value in enumerate(record) if NOT_UTF8.search(value))
    value = record[at].encode("utf-8", "surrogateescape").decode("latin-1")
    column = names[at] if at < len(names) else None
    return BadRow(line, column, value, f"not UTF-8 text ({quoted(value)} if it is Latin-1); {RECODE}")


def _misfit(fields: int, width: int) -> str:
    return f"{fields} field{'s' * (fields != 1)} where the header has {width}"
