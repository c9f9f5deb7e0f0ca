"""Event logs as they are read, from files and frames: user, item, time, and the line of each event; names."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from farzi.data.columns import bare, choose_event_columns, choose_name_columns
from farzi.data.content import Content, read_content
from farzi.data.sorting import coded
from farzi.data.tables import BadRow, Table, Unit, place_of, quoted, read_table, setting, typed_table
from farzi.data.times import parse_times
from farzi.errors import FarziError

TIME_FORMS = "a number, or a date such as 2016-10-16 17:57:24"


@dataclass(frozen=True)
class Events:
    """A log in the order of its file.

    Attributes:
        frame: columns `user` and `item` (Enum of the sorted distinct ids), `time` (Int64 or Float64; absent if the log has no
            times) and `row` (UInt32, the number of the line or row). No nulls, no empty ids.
        source: the file, the frame or the named data set, as messages name it.
        skipped: rows left out because they cannot be read, in the order of the file.
        dated: whether the times were written as dates; `time` is then in seconds since 1970.
        names: columns `id`, `name` if the log itself brings readable names, else None.
        unit: how `row` counts.
    """

    frame: pl.DataFrame
    source: str
    skipped: tuple[BadRow, ...] = ()
    dated: bool = False
    names: pl.DataFrame | None = None
    unit: Unit = "line"

    def __len__(self) -> int:
        return len(self.frame)


def read_events(
    source: str | Path | Content,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    skip_bad: bool = False,
) -> Events:
    """Read an event log: CSV/TSV, Parquet, JSON lines or RecBole `.inter`, plain or compressed.

    Args:
        source: the file, or what was read from it.
        user: the user column, guessed from the column names if None.
        item: the item column, guessed likewise.
        time: the time column, guessed likewise. Without one, events are in the order of the file.
        skip_bad: leave out rows that cannot be read (they are listed in `Events.skipped`) instead of raising.

    Raises:
        FarziError: the file, a column or a row cannot be read; names the line, the column and the value.
    """
    content = source if isinstance(source, Content) else read_content(source)
    choose = partial(choose_event_columns, source=content.source, user=user, item=item, time=time)
    return _check_events(read_table(content, choose), content.source, skip_bad)


def is_frame(value: object) -> bool:
    """Whether `read_frame` takes a value: of polars or pandas, or anything that exports an Arrow stream."""
    if _is_pandas(value):
        return hasattr(value, "columns")
    return isinstance(value, pl.DataFrame | pl.LazyFrame) or hasattr(value, "__arrow_c_stream__")


def read_frame(
    frame: Any,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    skip_bad: bool = False,
    source: str = "frame",
) -> Events:
    """Read an event log from a frame, with the arguments and checks of `read_events`.

    Rows are numbered from 0 in the order of the frame; an index of pandas is not read. Ids become text: whole
    floats as whole numbers; missing, NaN and empty ids are bad rows. Times may be numbers, dates, datetimes
    with or without a time zone (UTC if there is none), or text.

    Args:
        frame: of pandas, polars or pyarrow, or another object with `__arrow_c_stream__`.
        user: the user column; if None the one called user_id, else guessed from the names.
        item: the item column; likewise item_id.
        time: the time column; likewise timestamp.
        skip_bad: leave out rows that cannot be read.
        source: name of the frame in messages.

    Raises:
        FarziError: not a frame; or a column or a row cannot be read; names the row, the column and the value.

    Example:
        >>> frame = pl.DataFrame({"user_id": [7, 7], "item_id": ["a", "b"], "timestamp": [1, 2]})
        >>> read_frame(frame).frame.rows()
        [('7', 'a', 1, 0), ('7', 'b', 2, 1)]
    """
    if not is_frame(frame):
        raise FarziError(
            f"{source}: a pandas, polars or pyarrow frame is needed, not {type(frame).__qualname__}"
        )
    table: Any = frame if _is_pandas(frame) else _from_arrow(frame, source)
    names = [bare(str(name)) for name in table.columns]
    columns = choose_event_columns(names, source, user, item, time, prefix="")
    places = [names.index(name) for name in columns.values()]
    if _is_pandas(table):
        series = [_from_pandas(table.iloc[:, place]) for place in places]
    else:
        series = [table.to_series(place) for place in places]
    if len(table) == 0:
        raise FarziError(f"{source}: has columns but no rows")
    return _check_events(typed_table(series, columns, source, "index"), source, skip_bad)


def read_names(path: str | Path) -> pl.DataFrame:
    """Read a file with one readable name for each item into columns `id` and `name` (String).

    Its columns are guessed from the header. Rows without an id or a name are ignored; of several names for
    one id the first counts.

    Raises:
        FarziError: the file cannot be read, or has no such columns.
    """
    content = read_content(path)
    table = read_table(content, partial(choose_name_columns, source=content.source))
    if table.bad:
        raise FarziError(_refusal(content.source, table.bad, "correct them"))
    frame = table.frame.select(pl.col("id"), pl.col("name").str.strip_chars())
    frame = frame.filter((pl.col("id") != "") & (pl.col("name") != ""))
    return frame.unique("id", keep="first", maintain_order=True)


def _check_events(table: Table, source: str, skip_bad: bool) -> Events:
    """The rows of a table that have a user, an item and, if it has times, a time."""
    frame, bad, dated = table.frame, list(table.bad), False
    for role in ("user", "item"):
        missing = frame[role].is_null() | (frame[role] == "")
        column = table.columns[role]
        bad += [BadRow(row, column, None, "no value", table.unit) for row in frame["row"].filter(missing)]
        frame = frame.filter(~missing)
    if "time" in table.columns:
        times, dated = parse_times(frame["time"])
        failed = times.is_null()
        for row, value in frame.filter(failed).select("row", "time").iter_rows():
            empty = value is None or value == ""
            reason = "no value" if empty else f"{quoted(value)} is not a time ({TIME_FORMS})"
            bad.append(BadRow(row, table.columns["time"], None if empty else str(value), reason, table.unit))
        frame = frame.with_columns(times.alias("time")).filter(~failed)
    bad.sort(key=lambda row: row.line)
    if bad and not skip_bad:
        hint = f"correct them, or leave them out with {setting('skip_bad', table.unit)}"
        raise FarziError(_refusal(source, bad, hint))
    if len(frame) == 0:
        raise FarziError(f"{source}: none of its {len(bad):,} rows can be read; the first: {bad[0]}")
    frame = frame.with_columns(coded(frame[role]) for role in ("user", "item"))
    order = [role for role in ("user", "item", "time", "row") if role in frame.columns]
    return Events(frame.select(order), source, tuple(bad), dated, unit=table.unit)


def _refusal(source: str, bad: Sequence[BadRow], hint: str) -> str:
    count = "1 bad row" if len(bad) == 1 else f"{len(bad):,} bad rows"
    return f"{place_of(source, bad[0].unit, bad[0].line)}: {bad[0].problem} ({count} in all; {hint})"


def _from_arrow(frame: Any, source: str) -> pl.DataFrame:
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    try:
        return pl.DataFrame(frame)
    except (ValueError, TypeError, ImportError, pl.exceptions.PolarsError) as error:
        line = str(error).strip().partition("\n")[0]
        raise FarziError(f"{source}: cannot be read through the Arrow stream interface ({line})") from None


def _from_pandas(column: Any) -> pl.Series:
    """One column of pandas, without pyarrow; values of several types become text."""
    if column.dtype.kind in "iuf" and not hasattr(column.dtype, "na_value"):  # numpy's own numbers
        return pl.Series(values=column.to_numpy())
    if column.dtype.kind == "M":
        zone = getattr(column.dtype, "tz", None)
        column = column if zone is None else column.dt.tz_convert("UTC").dt.tz_localize(None)
        return pl.Series(values=column.to_numpy())
    missing = column.isna().tolist()
    values = [None if gone else value for value, gone in zip(column.tolist(), missing, strict=True)]
    try:
        return pl.Series(values=values, strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        texts = [None if value is None else _text(value) for value in values]  # values of several types
        return pl.Series(values=texts, dtype=pl.String)


def _is_pandas(value: object) -> bool:
    """Whether a value is of pandas, which need not be installed."""
    return type(value).__module__.partition(".")[0] == "pandas"


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
