"""Event logs as they are read, from files and frames: user, item, time, and the line of each event; names."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from farzi.data.columns import (
    PARTS,
    VALUE,
    choose_event_columns,
    choose_name_columns,
    is_kind,
    is_rating,
    may_be_items,
    may_be_times,
    may_be_users,
)
from farzi.data.content import Content, read_content
from farzi.data.delimited import delimited_table
from farzi.data.forms import Layout, plain_separator
from farzi.data.frames import frame_table, is_frame, item_table, typed
from farzi.data.ids import coded_ids, missing_words, read_ids
from farzi.data.json_lines import json_table
from farzi.data.lists import spread
from farzi.data.tables import (
    BadRow,
    Choose,
    Table,
    Unit,
    parquet_table,
    place_of,
    quoted,
    setting,
    typed_table,
)
from farzi.data.times import FORMS, Times, likely_forms, parse_times
from farzi.data.where import rows_with
from farzi.errors import FarziError
from farzi.recipe.variants import LogData


@dataclass(frozen=True)
class Events:
    """A log in the order of its file.

    Attributes:
        frame: columns `user` and `item` (Enum of the sorted distinct ids), `time` (Int64 or Float64; absent
            if the log has no times) and `row` (UInt32, the number of the line or row). No nulls, no empty
            ids.
        source: the file, the frame or the named data set, as messages name it.
        skipped: rows left out because they cannot be read, in the order of the file.
        dated: whether the times were written as dates; `time` then counts from 1970.
        ticks: what `time` counts in: so many in a second if `dated`, else in 1 of the log's numbers.
        names: columns `id`, `name` if the log itself brings readable names, else None.
        unit: how `row` counts.
        reading: how the log was read, as JSON values: columns, unread columns, form, notes, hints.
    """

    frame: pl.DataFrame
    source: str
    skipped: tuple[BadRow, ...] = ()
    dated: bool = False
    ticks: int = 1
    names: pl.DataFrame | None = None
    unit: Unit = "line"
    reading: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)


PLAIN = LogData()
COLUMNS = ("user", "item", "time", "rating", "where")
TEXT = ("separator", "columns", "format", "quotes")
FORM = (*TEXT, "encoding")
ROWS = ("time_format", "min_rating", "missing")
"""Settings that say how a log is read; those of `TEXT` apply to delimited text alone, those of `FORM`
to files."""


def refuse(settings: LogData, names: Iterable[str], source: str, why: str) -> None:
    """Raise FarziError if one of these settings is not its default."""
    for name in names:
        if getattr(settings, name) != getattr(PLAIN, name):
            raise FarziError(f"{source}: data.{name} {why}")


def read_events(source: str | Path | Content, settings: LogData = PLAIN) -> Events:
    """Read an event log: delimited text, Parquet, JSON lines or RecBole `.inter`, plain or compressed.

    Args:
        source: the file, or what was read from it.
        settings: those named in `COLUMNS`, `FORM` and `ROWS`, and `skip_bad`: bad rows are then listed in
            `Events.skipped`. The others have no effect.

    Raises:
        FarziError: the file, a column or a row cannot be read; names the line, the column and the value.
    """
    separator = plain_separator(settings.separator)
    content = (
        source if isinstance(source, Content) else read_content(source, separator or "", settings.encoding)
    )
    if content.kind != "text":
        names = FORM if content.kind == "parquet" else TEXT
        refuse(settings, names, content.source, f"applies to delimited text, and this is {content.kind}")
    if settings.format == "sequences":
        refuse(
            settings,
            (*COLUMNS, "min_rating", "columns"),
            content.source,
            "has no effect beside data.format=sequences",
        )
    sequences = None if settings.format is None else settings.format == "sequences"
    layout = Layout(separator, settings.columns, sequences, settings.quotes)
    choose = _choice(settings, content.source)
    table, name = _read_table(content, choose, layout, settings.time_format is None), content.source
    del content  # its bytes are no longer needed
    return _check_events(table, name, settings)


def _choice(settings: LogData, source: str, prefix: str = "data.") -> Choose:
    return partial(
        choose_event_columns,
        source=source,
        user=settings.user,
        item=settings.item,
        time=settings.time,
        rating=settings.rating or settings.min_rating is not None,
        where=settings.wanted,
        prefix=prefix,
    )


def read_frame(frame: Any, settings: LogData = PLAIN, source: str = "frame") -> Events:
    """Read an event log from a frame, with the settings and checks of `read_events`.

    Rows are numbered from 0 in the order of the frame; an index of pandas is not read. Ids become text: whole
    floats as whole numbers; missing, NaN and empty ids are bad rows. Times may be numbers, dates, datetimes
    with or without a time zone (UTC if there is none), or text.

    Args:
        frame: of pandas, polars or pyarrow, another object with `__arrow_c_stream__`, or a data set of
            RecTools, LensKit (with the titles of its items) or Hugging Face `datasets`.
        settings: as `read_events`, without those of `FORM`.
        source: name of the frame in messages.

    Raises:
        FarziError: not a frame; a setting applies to files; or a column or a row cannot be read; names the
            row, the column and the value.

    Example:
        >>> frame = pl.DataFrame({"user_id": [7, 7], "item_id": ["a", "b"], "timestamp": [1, 2]})
        >>> read_frame(frame).frame.rows()
        [('7', 'a', 1, 0), ('7', 'b', 2, 1)]
    """
    refuse(settings, FORM, source, "applies to files, and this log is a frame")
    events = _check_events(frame_table(frame, _choice(settings, source, ""), source), source, settings)
    items = item_table(frame)
    try:
        return events if items is None else replace(events, names=read_names(items, settings))
    except FarziError:  # it has no titles
        return events


def read_names(source: Any, settings: LogData = PLAIN) -> pl.DataFrame:
    """Read one readable name for each item into columns `id` and `name` (String).

    Ids become text as those of a log. Rows without an id or a name are ignored; of several names for one id
    the first counts.

    Args:
        source: a file or a frame, whose columns are guessed from their names; or a dict of names by id.
        settings: those of the log: `missing` and, for a file, `encoding` apply to names, too.

    Raises:
        FarziError: the names cannot be read, or there are no such columns.
    """
    if isinstance(source, Mapping):
        place, bad = "names", list[BadRow]()
        pairs = {"id": list(source), "name": list(source.values())}
        series = [typed(values, role, role, bad) for role, values in pairs.items()]
        table = typed_table(series, {"id": "id", "name": "name"}, "index", bad=bad)
    elif is_frame(source):
        place = "names"
        table = frame_table(source, partial(choose_name_columns, source=place), place)
    else:
        content = read_content(source, encoding=settings.encoding)
        place = content.source
        table = _read_table(content, partial(choose_name_columns, source=place), None)
    if table.bad:
        raise FarziError(_refusal(place, table.bad, "correct them"))
    ids = read_ids(table.frame["id"], "item", table.columns["id"], place, missing_words(settings.missing))[0]
    frame = pl.DataFrame([ids.alias("id"), table.frame["name"].cast(pl.String).str.strip_chars()])
    frame = frame.filter(pl.col("id").is_not_null() & (pl.col("name") != ""))
    return frame.unique("id", keep="first", maintain_order=True)


def _read_table(content: Content, choose: Choose, layout: Layout | None, numbers: bool = False) -> Table:
    """The columns that `choose` picks; raises FarziError if there is no row."""
    if content.kind == "text":
        table = delimited_table(content, choose, layout, numbers)
    else:
        table = (json_table if content.kind == "json" else parquet_table)(content, choose)
        table = spread(table, content.source)
    if len(table.frame) == 0 and not table.bad:
        raise FarziError(f"{content.source}: has a header but no rows")
    return table


def _check_events(table: Table, source: str, settings: LogData) -> Events:
    """The rows of a table that have a user, an item and, if it has times, a time."""
    if settings.where:  # first: rows of other kinds may lack an item
        table = rows_with(table, settings.wanted, source)
    frame, bad, notes = table.frame, list(table.bad), list(table.notes)
    missing = missing_words(settings.missing)
    for role in ("user", "item"):
        ids, reasons, floats = coded_ids(frame[role], role, table.columns[role], source, missing)
        if floats:
            notes.append(f"{table.columns[role]}: ids such as 300.0 were read as 300")
        valid = ids.is_not_null()
        for row, reason in zip(frame["row"].filter(~valid), reasons, strict=True):
            reason += f"; if it is an id: {setting('missing', table.unit)}=none" * ("stands for" in reason)
            bad.append(BadRow(row, table.columns[role], None, reason, table.unit))
        frame = frame.with_columns(ids.alias(role)).filter(valid)
    columns, times = dict(table.columns), Times(pl.Series([]))
    if written := _written_times(frame, columns):
        name, values = written
        times = parse_times(values, source, name, settings.time_format)
        failed = times.values.is_null()
        hint = _time_hint(values.filter(failed), table.unit, settings.time_format) + times.limits
        for row, value in zip(frame["row"].filter(failed), values.filter(failed), strict=True):
            empty = value is None or value == ""
            reason = "no value" if empty else f"{quoted(value)} is not a time ({hint})"
            bad.append(BadRow(row, name, None if empty else str(value), reason, table.unit))
        frame = frame.with_columns(times.values.alias("time")).filter(~failed)
        columns = {role: columns[role] for role in ("user", "item")} | {"time": name}
    elif settings.time_format is not None:
        raise FarziError(f"{source}: data.time_format has no effect: the log has no time column")
    low = 0
    if settings.min_rating is not None:
        if "rating" not in frame.columns:  # lines of users and items
            raise FarziError(f"{source}: data.min_rating needs ratings, and there are none")
        values = (
            frame["rating"].cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False).fill_nan(None)
        )
        failed = values.is_null()
        for row, value in zip(frame["row"].filter(failed), frame["rating"].filter(failed), strict=True):
            reason = "no value" if value is None else f"{quoted(value)} is not a number"
            bad.append(BadRow(row, table.columns["rating"], None, reason, table.unit))
        low = int((values < settings.min_rating).sum())
        frame = frame.filter((values >= settings.min_rating).fill_null(False))
        notes.append(f"events rated below {settings.min_rating:g} were left out: {low:,}")
    bad.sort(key=lambda row: row.line)
    if bad and not settings.skip_bad:
        hint = f"correct them, or leave them out with {setting('skip_bad', table.unit)}"
        role = next((role for role in ("user", "item") if table.columns[role] == bad[0].column), None)
        empty = [row for row in bad if row.reason.startswith("no value") or "stands for" in row.reason]
        if role and 2 * sum(row.column == bad[0].column for row in empty) > len(table.frame):
            hint += f"; most of this column is missing: {setting(role, table.unit)} names another"
        raise FarziError(_refusal(source, bad, hint))
    if len(frame) == 0 and not low:
        raise FarziError(f"{source}: none of its {len(bad):,} rows can be read; the first: {bad[0]}")
    if len(frame) == 0:
        raise FarziError(f"{source}: no event is rated {settings.min_rating:g} or more")
    columns = {role: name for role, name in columns.items() if not role.startswith(VALUE)}
    reading = {"columns": columns, "not_read": list(table.unread), "form": table.form}
    reading |= {"notes": notes, "hints": _hints(table)}
    order = [role for role in ("user", "item", "time", "row") if role in frame.columns]
    return Events(
        *(frame.select(order), source, tuple(bad), times.dated, times.ticks),
        unit=table.unit,
        reading=reading,
    )


def _written_times(frame: pl.DataFrame, columns: dict[str, str]) -> tuple[str, pl.Series] | None:
    """The column of times and its name; that of a date in several columns is put together."""
    texts = {frame[one].dtype for one in ("date", "time") if one in columns} == {pl.String}
    if "date" in columns and texts and bool(frame["time"].str.contains(r"^\s*\d{1,2}:\d{2}").all()):
        day = pl.col("date").str.strip_chars()
        joined = pl.concat_str([day, pl.lit(" "), pl.col("time").str.strip_chars()])
        return f"{columns['date']} + {columns['time']}", frame.select(joined).to_series()
    if "time" in columns:
        return columns["time"], frame["time"]
    parts = [part for part in PARTS if part in columns]
    if not parts:
        return None
    width, between = {"year": 4}, {"month": "-", "day": "-", "hour": " ", "minute": ":", "second": ":"}
    digits = [pl.col(part).cast(pl.String).str.strip_chars().str.replace(r"\.0*$", "") for part in parts]
    padded = [one.str.zfill(width.get(part, 2)) for one, part in zip(digits, parts, strict=True)]
    joined = pl.concat_str(
        [pl.lit(between.get(part, "")) + one for one, part in zip(padded, parts, strict=True)]
    )
    if parts[-1] == "hour":
        joined += ":00"
    return " + ".join(columns[part] for part in parts), frame.select(joined).to_series()


def _time_hint(failed: pl.Series, unit: Unit, form: str | None) -> str:
    name = setting("time_format", unit)
    if form is not None:
        return f"{name}={form}"
    forms = likely_forms(failed)[:2] or ["%d.%m.%Y"]
    return f"{FORMS}; others: {name}, such as {' or '.join(map(shlex.quote, forms))}"


def _hints(table: Table) -> list[str]:
    """What a user may miss in the columns that were not read."""
    user, item, time, rule = (setting(name, table.unit) for name in ("user", "item", "time", "min_rating"))
    hints = [f"{user}, {item} and {time} name other columns"] if table.unread else []
    if items := [name for name in table.unread if may_be_items(name)]:
        hints[0] += f"; {', '.join(items)} may be items, too"
    if users := [name for name in table.unread if may_be_users(name)]:
        hints[0] += f"; {', '.join(users)} may be users, too"
    if ratings := [name for name in table.unread if is_rating(name)]:
        hints.append(f"{ratings[0]} is not read; {rule}=X keeps only the events rated at least X")
    if kinds := [name for name in table.unread if is_kind(name)]:
        where = f"{setting('where', table.unit)}={kinds[0]}=VALUE keeps those of one kind"
        hints.append(f"{kinds[0]} is not read: rows of every kind are events; {where}")
    if not {"time", "year"}.intersection(table.columns):
        times = [name for name in table.unread if may_be_times(name)]
        named = f"; {', '.join(times)} may be times: {time}" if times else ""
        hints.append(f"no time column was recognised: events are in the order of the file{named}")
    return hints


def _refusal(source: str, bad: Sequence[BadRow], hint: str) -> str:
    count = "1 bad row" if len(bad) == 1 else f"{len(bad):,} bad rows"
    return f"{place_of(source, bad[0].unit, bad[0].line)}: {bad[0].problem} ({count} in all; {hint})"
