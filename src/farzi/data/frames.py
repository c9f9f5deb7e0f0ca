"""Event logs in frames of pandas, polars, pyarrow, or any library with the Arrow stream interface."""

from typing import Any

import polars as pl

from farzi.data.columns import bare, choose_event_columns
from farzi.data.events import Events, check_events
from farzi.data.tables import typed_table
from farzi.errors import FarziError


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
        time: the time column; likewise timestamp. Without one, events are in the order of the frame.
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
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    elif not isinstance(frame, pl.DataFrame) and not _is_pandas(frame):
        frame = _from_arrow(frame, source)
    names = [bare(str(name)) for name in frame.columns]
    columns = choose_event_columns(names, source, user, item, time, prefix="")
    series = []
    for role, name in columns.items():
        place = names.index(name)
        if _is_pandas(frame):
            series.append(_from_pandas(frame.iloc[:, place], role))
        else:
            series.append(frame.to_series(place).alias(role))
    if len(frame) == 0:
        raise FarziError(f"{source}: has columns but no rows")
    return check_events(typed_table(pl.DataFrame(series), columns, source, "index"), source, skip_bad)


def _from_arrow(frame: Any, source: str) -> pl.DataFrame:
    try:
        return pl.DataFrame(frame)
    except (ValueError, TypeError, ImportError, pl.exceptions.PolarsError) as error:
        line = str(error).strip().partition("\n")[0]
        raise FarziError(f"{source}: cannot be read through the Arrow stream interface ({line})") from None


def _from_pandas(column: Any, role: str) -> pl.Series:
    """One column of pandas, without pyarrow; values of several types become text."""
    if column.dtype.kind in "iuf" and not hasattr(column.dtype, "na_value"):  # numpy's own numbers
        return pl.Series(role, column.to_numpy())
    if column.dtype.kind == "M":
        zone = getattr(column.dtype, "tz", None)
        column = column if zone is None else column.dt.tz_convert("UTC").dt.tz_localize(None)
        return pl.Series(role, column.to_numpy())
    missing = column.isna().tolist()
    values = [None if gone else value for value, gone in zip(column.tolist(), missing, strict=True)]
    try:
        return pl.Series(role, values, strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        texts = [None if value is None else _text(value) for value in values]  # values of several types
        return pl.Series(role, texts, dtype=pl.String)


def _is_pandas(value: object) -> bool:
    """Whether a value is of pandas, which need not be installed."""
    return type(value).__module__.partition(".")[0] == "pandas"


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
