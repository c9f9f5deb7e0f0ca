"""Frames, and what other libraries hold logs in: as a table of the wanted columns.

No library is imported here: an object of RecTools, LensKit or Hugging Face `datasets` is recognised by its
class, and gives its events as a frame of its own accord.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from farzi.data.columns import bare
from farzi.data.lists import spread
from farzi.data.tables import BadRow, Choose, Table, typed_table, unread, value_text
from farzi.errors import FarziError


def is_frame(value: object) -> bool:
    """Whether `read_frame` takes a value: of polars or pandas, anything that exports an Arrow stream, or a
    data set of RecTools, LensKit or Hugging Face `datasets`.
    """
    if _library(value) == "pandas":
        return hasattr(value, "columns")
    known = isinstance(value, pl.DataFrame | pl.LazyFrame) or hasattr(value, "__arrow_c_stream__")
    return known or _library(value) in ("rectools", "lenskit", "datasets")


def plain_frame(value: Any, source: str) -> tuple[Any, str]:
    """A frame of pandas, polars or pyarrow, and what it was in words.

    Raises:
        FarziError: it is none, or a part of a library that holds no events by their own ids.
    """
    library, kind = _library(value), type(value).__qualname__
    if library == "rectools":
        if not hasattr(value, "get_raw_interactions"):
            raise FarziError(f"{source}: RecTools' {kind} has no original ids; give its Dataset, or a frame")
        return value.get_raw_interactions(), "Dataset of RecTools"
    if library == "lenskit":
        if not hasattr(value, "interaction_table"):
            raise FarziError(f"{source}: LensKit's Dataset is needed, not {kind}")
        return value.interaction_table(format="pandas", original_ids=True), "Dataset of LensKit"
    if library == "datasets":
        if isinstance(value, dict):
            parts, first = ", ".join(map(repr, value)), next(iter(value), "")
            raise FarziError(
                f"{source}: a {kind} of several parts ({parts}); give one, as in data[{first!r}]"
            )
        if not hasattr(value, "with_format"):
            raise FarziError(f"{source}: a Dataset of Hugging Face is needed, not {kind}")
        if not hasattr(value, "__len__"):
            raise FarziError(
                f"{source}: a {kind} is read from its beginning only; give a Dataset, without streaming=True"
            )
        return value.with_format("arrow")[:], "Dataset of Hugging Face"
    if not is_frame(value):
        raise FarziError(
            f"{source}: a frame of pandas, polars or pyarrow, or a data set of RecTools, LensKit or Hugging "
            f"Face is needed, not {kind}"
        )
    return value, f"frame of {library}"


def item_table(value: Any) -> Any:
    """LensKit's table of items, which may have titles; None for all else."""
    return value.entities("item").pandas() if _library(value) == "lenskit" else None


def frame_table(frame: Any, choose: Choose, source: str) -> Table:
    """The columns of a frame that `choose` picks; raises FarziError if it is none, or has no row."""
    frame, form = plain_frame(frame, source)
    pandas = _library(frame) == "pandas"
    table: Any = frame if pandas else _from_arrow(frame, source)
    names = [bare(str(name)) for name in table.columns]
    lists = [name for place, name in enumerate(names) if _holds_lists(table, place, pandas)]
    columns = choose(names, lists=lists)
    places, bad = [names.index(name) for name in columns.values()], list[BadRow]()
    if pandas:
        named = zip(columns.items(), places, strict=True)
        series = [_from_pandas(table.iloc[:, place], role, name, bad) for (role, name), place in named]
    else:
        series = [table.to_series(place) for place in places]
    if len(table) == 0:
        raise FarziError(f"{source}: has columns but no rows")
    read = typed_table(series, columns, "index", unread=unread(names, columns), form=form)
    read = replace(read, frame=read.frame.filter(~pl.col("row").is_in([row.line for row in bad])), bad=bad)
    return spread(read, source)


def _holds_lists(table: Any, place: int, pandas: bool) -> bool:
    """Whether a column holds a list in each row, by its type or its first value."""
    if not pandas:
        return isinstance(table.to_series(place).dtype, pl.List | pl.Array)
    column = table.iloc[:, place]
    if column.dtype != object:
        return str(column.dtype).startswith(("list<", "large_list<"))
    first = column.dropna().head(1)
    return len(first) > 0 and isinstance(first.iloc[0], list | tuple | np.ndarray)


def _from_arrow(frame: Any, source: str) -> pl.DataFrame:
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    try:
        return pl.DataFrame(frame)
    except (ValueError, TypeError, ImportError, pl.exceptions.PolarsError) as error:
        line = str(error).strip().partition("\n")[0]
        raise FarziError(f"{source}: cannot be read through the Arrow stream interface ({line})") from None


def _from_pandas(column: Any, role: str, name: str, bad: list[BadRow]) -> pl.Series:
    """One column of pandas, without pyarrow."""
    if column.dtype.kind in "iuf" and not hasattr(column.dtype, "na_value"):  # numpy's own numbers
        return pl.Series(values=column.to_numpy())
    if column.dtype.kind == "M":
        zone = getattr(column.dtype, "tz", None)
        column = column if zone is None else column.dt.tz_convert("UTC").dt.tz_localize(None)
        return pl.Series(values=column.to_numpy())
    missing = column.isna().tolist()
    values = [None if gone else value for value, gone in zip(column.tolist(), missing, strict=True)]
    return typed(values, role, name, bad)


def typed(values: list[Any], role: str, name: str, bad: list[BadRow]) -> pl.Series:
    """A column from Python's values; those of several types become text, or bad rows."""
    try:
        return pl.Series(values=values, strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        texts = [value_text(value, role) for value in values]
        reasons = ((row, reason) for row, (_, reason) in enumerate(texts) if reason is not None)
        bad += [BadRow(row, name, None, reason, "index") for row, reason in reasons]
        return pl.Series(values=[text for text, _ in texts], dtype=pl.String)


def _library(value: object) -> str:
    """The package of a value's class, which need not be installed."""
    return type(value).__module__.partition(".")[0]
