"""Rows that hold a list of items: a user's history, a session or a basket. Each item becomes an event."""

from dataclasses import replace

import polars as pl

from farzi.data.tables import BadRow, Table, place_of
from farzi.errors import FarziError

GROWING = 0.9
"""Share of a user's rows that begin with the row before from which rows are one history at several times."""


def spread(table: Table, source: str) -> Table:
    """A row for each item of a table whose items are lists; other tables as they are.

    Other columns are lists as long, as those of the times, or hold for each item of their row, as the time
    of a basket. All events of a row keep its number, and the order of the list.

    Raises:
        FarziError: lists of one row differ in length; or a user's rows repeat the rows before, each with more
            items, so that the same events would count many times.
    """
    nested = [role for role in table.columns if isinstance(table.frame[role].dtype, pl.List | pl.Array)]
    if "item" not in nested or "user" in nested or isinstance(table.frame["item"].dtype.inner, pl.List):  # type: ignore[attr-defined]
        return table
    frame = table.frame.with_columns(
        pl.col(role).arr.to_list() for role in nested if table.frame[role].dtype == pl.Array
    )
    lengths = pl.col("item").list.len()
    for role in nested:
        other = frame.filter(pl.col(role).list.len() != lengths)
        if len(other):
            row = other.row(0, named=True)
            raise FarziError(
                f"{place_of(source, table.unit, row['row'])}: {table.columns[role]!r} has {len(row[role])} "
                f"values for the {len(row['item'])} items of {table.columns['item']!r}; they must be as many"
            )
    missing = frame.filter(pl.col("item").is_null())["row"]
    bad = [BadRow(row, table.columns["item"], None, "no value", table.unit) for row in missing]
    frame = frame.filter(lengths > 0)
    _refuse_growing(frame, table, source)
    empty = len(table.frame) - len(frame) - len(bad)
    notes = [*table.notes, *[f"rows with an empty list, which hold no event: {empty:,}"] * (empty > 0)]
    once = "times" if "time" in nested else "a time for all of them" if "time" in table.columns else ""
    form = f"{table.form}, a list of items in each row{' with ' * bool(once)}{once}"
    return replace(table, frame=frame.explode(nested), bad=[*table.bad, *bad], notes=notes, form=form)


def _refuse_growing(frame: pl.DataFrame, table: Table, source: str) -> None:
    """Refuse rows that hold a user's history up to several moments, as windows for training do."""
    before = pl.col("item").shift(1).over("user")
    grows = pl.col("item").list.head(before.list.len()) == before
    again = frame.select(pl.col("row"), grows=grows, longer=pl.col("item").list.len() > before.list.len())
    again = again.filter(pl.col("grows").is_not_null())
    repeated = again.filter(pl.col("grows") & pl.col("longer"))
    if len(again) > 1 and len(repeated) >= GROWING * len(again):
        raise FarziError(
            f"{place_of(source, table.unit, repeated['row'][0])}: {table.columns['item']!r} repeats the "
            f"items of an earlier row of its user, as {len(repeated):,} rows do: events would count several "
            "times; keep the longest row of each user, or one row for each event"
        )
