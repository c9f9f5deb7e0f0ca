"""Event logs and side files of names, from any of the formats; rows that cannot be read are told by line."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from farzi.data.columns import ITEM, NAME, Role, roles
from farzi.data.delimited import shown
from farzi.data.events import BadRow, Events
from farzi.data.opening import Content, open_file
from farzi.data.tables import Table, read_table
from farzi.data.times import parse_times
from farzi.errors import FarziError

TIME_FORMS = "a number, or a date such as 2016-10-16 17:57:24"


def read_events(
    path: str | Path,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    skip_bad: bool = False,
    also: Iterable[str] = (),
) -> Events:
    """Read an event log: CSV/TSV, Parquet, JSON lines or RecBole `.inter`, plain or compressed.

    Columns are given by name or guessed from the header. A log without a column of times is in the order of
    its file; a column of times that was asked for must be there.

    Args:
        path: the file.
        user: the column of users, guessed if None. So `item` and `time`.
        item: the column of items.
        time: the column of times.
        skip_bad: leave out rows that cannot be read (they are kept in `Events.skipped`) instead of refusing
            the file.
        also: other names that would have been valid in the place of `path`, for the hint when there is no
            such file.

    Raises:
        FarziError: the file, a column or a row cannot be read; names the file, the line, the column and the
            value.
    """
    return events_of(open_file(path, also), user, item, time, skip_bad)


def events_of(
    content: Content,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    skip_bad: bool = False,
) -> Events:
    """`read_events` for a file that is open already."""
    wanted = roles(user, item, time)

    def choose(found: Sequence[str]) -> dict[str, str]:
        columns = {role: wanted[role].find(found, content.source, optional=role == "time") for role in wanted}
        return {role: column for role, column in columns.items() if column is not None}

    table = read_table(content, choose)
    frame, bad, dated = _checked(table)
    if bad and not skip_bad:
        raise FarziError(_refusal(content.source, bad, content.kind))
    if len(frame) == 0:
        raise FarziError(f"{content.source}: none of its {len(bad):,} rows can be read; the first: {bad[0]}")
    return Events(frame, content.source, tuple(bad), dated)


def read_names(path: str | Path) -> pl.DataFrame:
    """Read a side file with one readable name an item into columns `id` and `name` (String).

    Its columns are guessed from the header. Rows without an id or a name are passed over; of several names of
    an id the first counts.

    Raises:
        FarziError: the file cannot be read, or has no such columns.
    """
    return names_of(open_file(path))


def names_of(content: Content) -> pl.DataFrame:
    """`read_names` for a file that is open already."""

    def choose(found: Sequence[str]) -> dict[str, str]:
        id = Role("item", (*ITEM, "id"), "a header such as item_id,name").find(found, content.source)
        name = Role("name", NAME, "a header such as item_id,name").find(found, content.source)
        return {"id": str(id), "name": str(name)}

    table = read_table(content, choose)
    if table.bad:
        raise FarziError(_refusal(content.source, table.bad, content.kind, hint="mend them"))
    frame = table.frame.select(pl.col("id"), pl.col("name").str.strip_chars())
    return frame.filter((pl.col("id") != "") & (pl.col("name") != "")).unique(
        "id", keep="first", maintain_order=True
    )


def _checked(table: Table) -> tuple[pl.DataFrame, list[BadRow], bool]:
    """The rows that have all three values, why the others have not, and whether the times are dates."""
    frame, bad, dated = table.frame, list(table.bad), False
    for role in ("user", "item"):
        values = frame[role]
        missing = values.is_null() | (values == "")
        bad += [BadRow(line, table.columns[role], None, "no value") for line in frame["row"].filter(missing)]
        frame = frame.filter(~missing)
    if "time" in table.columns:
        given = frame["time"]
        times, dated = parse_times(given)
        times = times.alias("time")
        failed = times.is_null()
        for line, value in frame.with_columns(given).filter(failed).select("row", "time").iter_rows():
            empty = value is None or value == ""
            reason = "no value" if empty else f"{shown(value)} is not a time ({TIME_FORMS})"
            bad.append(BadRow(line, table.columns["time"], None if empty else str(value), reason))
        frame = frame.with_columns(times).filter(~failed)
    order = [role for role in ("user", "item", "time", "row") if role in frame.columns]
    return frame.select(order), sorted(bad, key=lambda row: row.line), dated


def _refusal(
    source: str, bad: Sequence[BadRow], kind: str, hint: str = "mend them, or leave them out with --skip-bad"
) -> str:
    first = bad[0]
    column = "" if first.column is None else f"column {first.column!r}: "
    place = f"{source}, row {first.line}" if kind == "parquet" else f"{source}:{first.line}"
    count = "1 bad row" if len(bad) == 1 else f"{len(bad):,} bad rows"
    return f"{place}: {column}{first.reason} ({count} in all; {hint})"
