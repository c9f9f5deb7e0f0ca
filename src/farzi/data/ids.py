"""One gate for the ids of users and items, whatever the form of the log: text without a missing value."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from farzi.errors import FarziError

MISSING = ("nan", "NaN", "NAN", "-nan", "null", "NULL", "None", "NA", "N/A", "#N/A", "<NA>", "NaT", "\\N")
"""What pandas, polars, R, Excel, databases and Python write for a missing value."""
MARK = "\ufeff"  # a byte order mark, inside a log where files were joined
WHOLE = r"^-?\d+(\.0+)?$"
EXACT = {pl.Float32: 2**24, pl.Float64: 2**53}
"""Below these, floats hold every whole number."""


def missing_words(given: str | None) -> tuple[str, ...]:
    """The words of the setting `missing`, which are separated by commas; see there."""
    return MISSING if given is None else tuple(given.replace(" ", "").split(",")) * (given != "none")


def read_ids(
    values: pl.Series, role: str, column: str, source: str, missing: Sequence[str] = MISSING
) -> tuple[pl.Series, pl.Series, bool]:
    """The ids in a column of any type.

    White space and byte order marks around ids are removed. Whole numbers are written without decimals: each
    whole float, and text such as 300.0 if all ids of the column are whole numbers.

    Args:
        values: the column, (n,).
        role: "user" or "item", for messages.
        column: the name of the column.
        source: of the column.
        missing: words that stand for a missing value.

    Returns:
        The ids (String; null where there is none), why there is none (String, else null), and whether text
        such as 300.0 was made whole.

    Raises:
        FarziError: the column holds lists, records, bytes, truth values or Python objects.
    """
    if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object, pl.Boolean):
        raise FarziError(f"{source}: column {column!r} holds {values.dtype}, not one {role} per row")
    x, frame = pl.col("x"), values.alias("x").to_frame()
    rounded = pl.lit(None, pl.String)
    if values.dtype.is_float():
        exact = EXACT.get(type(values.dtype), 2**11)
        whole = pl.when(x == x.floor()).then(x.cast(pl.Int64, strict=False)).cast(pl.String)
        frame = frame.select(
            pl.when(x.is_finite() & (x.abs() <= exact)).then(pl.coalesce(whole, x.cast(pl.String))),
            pl.when(x.is_finite() & (x.abs() > exact)).then(x.cast(pl.String)).alias("rounded"),
        )
        rounded = pl.format("{} is rounded: save ids as text or whole numbers", "rounded")
    frame = frame.with_columns(x.cast(pl.String).str.strip_chars().str.strip_chars(MARK).str.strip_chars())
    word = x.is_in(missing)
    reason = (
        pl.when(word)
        .then(pl.format("{} stands for a missing value", x))
        .otherwise(pl.when(x.is_null() | (x == "")).then(pl.coalesce(rounded, pl.lit("no value"))))
    )
    ids, reasons = frame.select(pl.when(~word & (x != "")).then(x), reason.alias("reason")).get_columns()
    zeros = ids.filter(ids.str.ends_with("0"))
    floats = bool(zeros.str.contains(r"\.0+$").any()) and bool(ids.str.contains(WHOLE).all())
    return ids.str.replace(r"\.0+$", "") if floats else ids, reasons, floats


def coded_ids(
    values: pl.Series, role: str, column: str, source: str, missing: Sequence[str] = MISSING
) -> tuple[pl.Series, pl.Series, bool]:
    """`read_ids` of the distinct values in a column, which is far quicker, and the ids as numbers.

    Returns:
        The ids (Enum of the sorted distinct ids, (n,)), why there is none (only for the rows without one, in
        their order), and whether text such as 300.0 was made whole.
    """
    places, distinct = places_and_distinct(values)
    ids, reasons, floats = read_ids(distinct, role, column, source, missing)
    coded = ids.cast(pl.Enum(ids.drop_nulls().unique().sort())).gather(places)
    return (
        coded,
        reasons.gather(places.filter(coded.is_null())) if coded.null_count() else reasons[:0],
        floats,
    )


def places_and_distinct(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The place of each value among the distinct ones, (n,), and these; missing values are among them."""
    if values.dtype.is_integer() and not values.null_count() and len(values):
        low, high = (int(end) for end in (values.min(), values.max()))  # type: ignore[arg-type]
        if high - low < 4 * len(values) + 1000:
            number = (values - low).cast(pl.UInt32).to_numpy()
            present = np.bincount(number) > 0
            places = np.cumsum(present, dtype=np.uint32) - 1
            return pl.Series(places[number]), pl.Series(np.flatnonzero(present)) + low
    if values.dtype not in (pl.String, pl.Categorical):
        return pl.Series(np.arange(len(values), dtype=np.uint32)), values
    category = values.cast(pl.Categorical)
    distinct = category.unique()  # missing values are one of them
    none = 1 + distinct.to_physical().drop_nulls().to_numpy().max(initial=0)
    known, codes = (ids.to_physical().fill_null(none).to_numpy() for ids in (distinct, category))
    place = np.zeros(none + 1, np.uint32)
    place[known] = np.arange(len(distinct), dtype=np.uint32)
    return pl.Series(place[codes]), distinct.cast(pl.String)
