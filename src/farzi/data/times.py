"""Times in logs: counters, seconds or milliseconds since 1970, dates and datetimes; their order is exact."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from farzi.errors import FarziError

FORMS = "a number, or a date such as 2016-10-16 17:57:24"
ISO = (
    r"^(?<date>\d{4}-\d{1,2}-\d{1,2})"
    r"(?:[Tt ]\s*(?<hour>\d{1,2}):(?<minute>\d{2})(?::(?<second>\d{2})(?:[.,](?<part>\d{1,9})0*)?)?)?"
    r"\s*(?<zone>[Zz]|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?$"
)
EPOCH = datetime(1970, 1, 1)  # UTC
TICKS = {"ms": 10**3, "us": 10**6, "ns": 10**9}
DIGITS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""Dates written as one number, by the number of digits."""
WRITTEN = (
    "%a %b %d %H:%M:%S %z %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%d/%b/%Y:%H:%M:%S %z",
    *(
        f"{date} {clock}".strip()
        for date in ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d")
        for clock in ("", "%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")
    ),
    "%B %d, %Y",
    "%m %d, %Y",
    "%d %b %Y",
)
"""Other forms in which dates are often written; they are proposed, and never guessed."""
DAY = 86_400
YEAR = 365.25 * DAY


@dataclass(frozen=True)
class Times:
    """Times in a unit in which their order is exact.

    Attributes:
        values: Int64 or Float64; null where there is no time.
        dated: whether they were written as dates; values are then ticks since 1970 (UTC).
        ticks: in a second if `dated`; else in what the numbers of the log count.
        limits: of the dates that can be read, in words, if there are some.
    """

    values: pl.Series
    dated: bool = False
    ticks: int = 1
    limits: str = ""


def parse_times(values: pl.Series, source: str, column: str, form: str | None = None) -> Times:
    """The times in a column of any type.

    Numbers stay as they are. Dates become seconds since 1970 (UTC if they name no zone), or parts of seconds
    if some have any. Long decimals are scaled to whole numbers if floats would make some of them equal.

    Args:
        values: the column.
        source: of the column, for messages.
        column: its name.
        form: of dates, as `datetime.strptime` takes it; guessed (ISO) if None.

    Raises:
        FarziError: the column holds something else than times, or their order cannot be kept.
    """
    dtype = values.dtype
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object, pl.Boolean, pl.Time, pl.Duration):
        raise FarziError(f"{source}: column {column!r} holds {dtype}, not one time per row")
    if form is None and dtype == pl.Date:
        return _shortest(values.to_physical().cast(pl.Int64) * 86_400, 1)
    if form is None and isinstance(dtype, pl.Datetime):
        return _shortest(values.to_physical(), TICKS[dtype.time_unit])
    if form is None and dtype.is_integer():
        return Times(values.cast(pl.Int64, strict=False))
    if form is None and dtype.is_float():
        return Times(_whole_if_possible(_finite(values.cast(pl.Float64))))
    text = values.cast(pl.String).str.strip_chars()
    if form is not None:
        return _formatted(text, form, source)
    whole = text.cast(pl.Int64, strict=False)
    if whole.null_count() == text.null_count():
        return Times(whole)
    number = _finite(text.cast(pl.Float64, strict=False))
    seconds, part = _iso(text)
    if (
        seconds.null_count() < number.null_count()
    ):  # a log holds numbers or dates; the rarer kind is the error
        return _with_parts(seconds, part)
    written = text.filter(number.is_not_null()).str.replace(r"(\.\d*?)0+$", "$1").str.strip_chars_end(".")
    exact = number.drop_nulls().n_unique() == written.n_unique()
    return Times(_whole_if_possible(number)) if exact else _decimals(text, number, source, column)


def likely_forms(values: pl.Series) -> list[str]:
    """Of the forms in `WRITTEN`, those that read all of some texts."""
    text = values.cast(pl.String).str.strip_chars()
    text = text.filter(text != "").head(1000)
    return [form for form in WRITTEN if len(text) and not _formatted(text, form, "").values.has_nulls()]


def seconds_scale(times: np.ndarray, dated: bool, ticks: int = 1) -> int | None:
    """How many of the numbers in `Times.values` make a second; None if they do not count from 1970.

    Numbers count seconds, milli-, micro- or nanoseconds since 1970 if the last one is then between 1973 and
    2286, and if they are no dates written as digits (202405012015).
    """
    if dated:
        return ticks
    first, last = times.min(), times.max() / ticks
    if first < 0 or _digits(times, ticks) is not None:
        return None
    return next((s * ticks for s in (1, 10**3, 10**6, 10**9) if 1e8 * s <= last < 1e10 * s), None)


def time_facts(times: np.ndarray, dated: bool, ticks: int = 1) -> dict[str, Any]:
    """The first and the last time, as dates (UTC) where that is known, and a note on what looks wrong."""
    scale = seconds_scale(times, dated, ticks)
    ends = np.array([times.min(), times.max()])
    low, high = time_values(ends if scale is None else ends // scale * scale, scale, ticks)
    facts = {"from": low, "to": high, "unit": "not seconds since 1970" if scale is None else "UTC"}
    if scale is None:
        if digits := _digits(times, ticks):
            facts["note"] = f"they look like dates written as digits: data.time_format={digits} reads them"
        return facts
    first, last = ends // scale
    early = int(((times >= 0) & (times < 31 * DAY * scale)).sum())
    if early and last > 10 * YEAR:
        mixed = not dated and bool((times[times < 31 * DAY * scale] > 0).any())
        why = "seconds and milliseconds seem mixed" if mixed else "often written for an unknown time"
        facts["note"] = f"{early:,} of {len(times):,} lie in January 1970: {why}"
    elif first < -470 * YEAR or last > 230 * YEAR:
        facts["note"] = "some lie outside the years 1500 to 2200; databases write such for unknown times"
    return facts


def time_values(times: np.ndarray, scale: int | None, ticks: int = 1) -> list[Any]:
    """Times for people: dates (UTC) where `scale` is known, else the numbers of the log."""
    if scale is None:
        return (times if ticks == 1 else times / ticks).tolist()
    if times.dtype.kind == "f":  # more digits would be rounding errors
        times, scale = np.rint(times / scale * 1e6).astype(np.int64), 10**6
    parts = [f"{part:.9f}".rstrip("0")[1:] if part else "" for part in (times % scale / scale).tolist()]
    return [f"{_date(seconds)}{part}" for seconds, part in zip((times // scale).tolist(), parts, strict=True)]


def _date(seconds: float) -> str:
    try:
        return str(EPOCH + timedelta(seconds=int(seconds)))
    except OverflowError:  # before the year 1 or after 9999
        return f"{int(seconds)} seconds since 1970"


def _digits(times: np.ndarray, ticks: int) -> str | None:
    """The form of dates if all times look like dates written as digits."""
    form = DIGITS.get(len(str(times.max())))
    if form is None or ticks > 1 or times.dtype.kind != "i" or len(str(times.min())) != len(str(times.max())):
        return None
    ends = np.array([times.min(), times.max()])
    return (
        form if _are_dates(ends) and len(distinct := np.unique(times)) > 2 and _are_dates(distinct) else None
    )


def _are_dates(numbers: np.ndarray) -> bool:
    """Whether all digits are years, months, days, hours, minutes and seconds."""
    text = pl.Series(numbers).cast(pl.String)
    year, rest = text.str.slice(0, 4).cast(pl.Int64), [text.str.slice(at, 2) for at in range(4, 14, 2)]
    fits = bool(year.is_between(1900, 2100).all())
    for values, (low, high) in zip(rest, ((1, 12), (1, 31), (0, 23), (0, 59), (0, 60)), strict=True):
        fits &= bool(values.filter(values != "").cast(pl.Int64).is_between(low, high).all())
    return fits


def _formatted(text: pl.Series, form: str, source: str) -> Times:
    unit: Any = "ns" if "f" in form else "us"
    if re.search("%[HI]", form) and "%M" not in form:  # polars wants both
        text, form = text + " 00", form + " %M"
    try:
        values = text.str.to_datetime(form.replace(".%f", "%.f"), time_unit=unit, strict=False)
    except pl.exceptions.PolarsError as error:
        line = str(error).strip().partition("\n")[0]
        raise FarziError(f"{source}: data.time_format={form} cannot be read ({line})") from None
    return _shortest(values.to_physical(), TICKS[unit])


def _iso(text: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Whole seconds since 1970 (null where there is no date), and the digits of the part after the point."""
    groups = text.to_frame("text").select(pl.col("text").str.extract_groups(ISO)).unnest("text")
    date = pl.col("date").str.to_date("%Y-%m-%d", strict=False)
    hour, minute, second = (pl.col(name).cast(pl.Int64) for name in ("hour", "minute", "second"))
    zone = pl.col("zone").str.replace(":", "", literal=True)
    sign = pl.when(zone.str.starts_with("-")).then(-1).otherwise(1)
    hours, minutes = (zone.str.slice(at, 2).cast(pl.Int64, strict=False) for at in (1, 3))
    offset = sign * (hours * 60 + minutes.fill_null(0))
    clock = (hour < 24) & (minute < 60) & (second.fill_null(0) < 61)
    seconds = (
        date.cast(pl.Int32).cast(pl.Int64) * DAY
        + (hour.fill_null(0) * 60 + minute.fill_null(0) - offset.fill_null(0)) * 60
        + second.fill_null(0)
    )
    chosen = groups.select(pl.when(clock.fill_null(True)).then(seconds).alias("seconds"), "part")
    return chosen["seconds"], chosen["part"]


def _with_parts(seconds: pl.Series, part: pl.Series) -> Times:
    """Seconds and the digits after the point in the largest unit that holds both."""
    digits = part.str.len_chars().max()
    if digits is None:
        return Times(seconds, True)
    ticks = 10 ** (3 * -(-int(digits) // 3))  # type: ignore[call-overload]
    seconds = seconds.to_frame("x").select(pl.when(pl.col("x").abs() < 2**63 // ticks).then(pl.col("x")))["x"]
    zeros = "0" * (len(str(ticks)) - 1)
    parts = (part.fill_null("") + zeros).str.slice(0, len(zeros)).cast(pl.Int64)
    times = _shortest(seconds * ticks + parts, ticks)
    return replace(times, limits="; beside nanoseconds, from 1678 to 2261" if ticks == 10**9 else "")


def _shortest(values: pl.Series, ticks: int) -> Times:
    """Dates in seconds if all are whole seconds."""
    if ticks > 1 and not bool((values % ticks != 0).any()):
        return Times(values // ticks, True)
    return Times(values, True, ticks)


def _decimals(text: pl.Series, number: pl.Series, source: str, column: str) -> Times:
    """Numbers that floats would make equal, scaled to whole numbers by a power of ten."""
    decimal = text.set(number.is_null(), None).to_frame("x")
    digits = decimal["x"].str.extract(r"\.(\d*?)0*$").str.len_chars().max() or 0
    ticks = 10 ** int(digits)  # type: ignore[call-overload]
    try:
        exact = decimal.select(pl.col("x").cast(pl.Decimal(38, int(digits))))["x"]  # type: ignore[call-overload]
        scaled = (exact * ticks).cast(pl.Decimal(38, 0)).cast(pl.Int64)
    except pl.exceptions.PolarsError:
        raise FarziError(
            f"{source}: column {column!r} has times with too many digits to keep their order; "
            "round them, or write whole numbers"
        ) from None
    return Times(scaled, False, ticks)


def _finite(values: pl.Series) -> pl.Series:
    return values.to_frame("x").select(pl.when(pl.col("x").is_finite()).then(pl.col("x"))).to_series()


def _whole_if_possible(values: pl.Series) -> pl.Series:
    known = values.drop_nulls().to_numpy()
    if len(known) and (np.abs(known) < 2**53).all() and (known == np.floor(known)).all():
        return values.cast(pl.Int64)
    return values
