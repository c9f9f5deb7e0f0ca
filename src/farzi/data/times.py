"""Times in logs: counters, seconds or milliseconds since 1970, ISO dates and datetimes."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

ISO = (
    r"^\s*(?<date>\d{4}-\d{1,2}-\d{1,2})"
    r"(?:[T ](?<hour>\d{1,2}):(?<minute>\d{2})(?::(?<second>\d{2}(?:[.,]\d+)?))?)?"
    r"\s*(?<zone>Z|UTC|[+-]\d{2}:?\d{2}|[+-]\d{2})?\s*$"
)
EPOCH = datetime(1970, 1, 1)  # UTC


def parse_times(values: pl.Series) -> tuple[pl.Series, bool]:
    """Numbers stay as they are; dates become seconds since 1970 (UTC if they name no zone).

    Returns:
        The times, Int64 if all are whole, else Float64, null where `values` is null or not a time; and
        whether they were written as dates.
    """
    if values.dtype.is_temporal():
        if values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime):
            return _whole_if_possible(values.dt.epoch("us").cast(pl.Float64) / 1e6), True
        return pl.Series(values.name, [None] * len(values), dtype=pl.Int64), False
    if values.dtype.is_integer():
        return values.cast(pl.Int64, strict=False), False
    if values.dtype.is_numeric():
        return _whole_if_possible(_finite(values.cast(pl.Float64))), False
    text = values.cast(pl.String).str.strip_chars()
    whole = text.cast(pl.Int64, strict=False)
    if whole.null_count() == text.null_count():
        return whole, False
    number = _finite(text.cast(pl.Float64, strict=False))
    date = _iso(text)
    if date.null_count() < number.null_count():  # a log holds numbers or dates; the rarer kind is the error
        return _whole_if_possible(date), True
    return _whole_if_possible(number), False


def time_range(times: np.ndarray, dated: bool) -> dict[str, str | float]:
    """The first and the last time, as `1997-09-20 03:05:10` (UTC) where that is known.

    Numbers are as they are if they cannot be seconds, milli-, micro- or nanoseconds since 1970 with the last
    one between 1973 and 2286.
    """
    first, last = times.min().item(), times.max().item()
    scales = [1] if dated else [s for s in (1, 1e3, 1e6, 1e9) if first >= 0 and 1e8 * s <= last < 1e10 * s]
    if not scales:
        return {"from": first, "to": last, "unit": "not seconds since 1970"}
    start, end = (EPOCH + timedelta(seconds=int(time // scales[0])) for time in (first, last))
    return {"from": str(start), "to": str(end), "unit": "UTC"}


def _iso(text: pl.Series) -> pl.Series:
    part = text.to_frame("text").select(pl.col("text").str.extract_groups(ISO)).unnest("text")
    date = pl.col("date").str.to_date("%Y-%m-%d", strict=False)
    hour, minute = pl.col("hour").cast(pl.Float64), pl.col("minute").cast(pl.Float64)
    second = pl.col("second").str.replace(",", ".", literal=True).cast(pl.Float64)
    zone = pl.col("zone").str.replace(":", "", literal=True)
    sign = pl.when(zone.str.starts_with("-")).then(-1).otherwise(1)
    hours, minutes = (zone.str.slice(at, 2).cast(pl.Float64, strict=False) for at in (1, 3))
    offset = sign * (hours * 60 + minutes.fill_null(0))
    clock = (hour < 24) & (minute < 60) & (second.fill_null(0) < 61)
    seconds = (
        date.cast(pl.Int32).cast(pl.Float64) * 86_400
        + (hour.fill_null(0) * 60 + minute.fill_null(0) - offset.fill_null(0)) * 60
        + second.fill_null(0)
    )
    return part.select(pl.when(clock.fill_null(True)).then(seconds)).to_series()


def _finite(values: pl.Series) -> pl.Series:
    return values.to_frame("x").select(pl.when(pl.col("x").is_finite()).then(pl.col("x"))).to_series()


def _whole_if_possible(values: pl.Series) -> pl.Series:
    known = values.drop_nulls().to_numpy()
    if len(known) and (np.abs(known) < 2**53).all() and (known == np.floor(known)).all():
        return values.cast(pl.Int64)
    return values
