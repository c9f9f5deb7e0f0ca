"""An event log as it was read: who, what, when, and the line each event stood on."""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class BadRow:
    """A row that could not be read. `line` counts from 1; for Parquet it is the number of the row."""

    line: int
    column: str | None
    value: str | None
    reason: str

    def __str__(self) -> str:
        """`line 17: column 'timestamp': 'soon' is not a time`."""
        column = "" if self.column is None else f"column {self.column!r}: "
        return f"line {self.line}: {column}{self.reason}"


@dataclass(frozen=True)
class Events:
    """A log in the order of its file.

    Attributes:
        frame: columns `user` (String), `item` (String), `time` (Int64 or Float64; the column is absent when
            the log has none) and `row` (UInt32, the line in the file). No nulls, no empty ids.
        source: the file or the named data set, as messages name it.
        skipped: rows left out because they could not be read, in the order of the file.
        dated: whether the times were written as dates; `time` then counts seconds since 1970.
        names: columns `id`, `name` where the log itself brings readable names, else None.
    """

    frame: pl.DataFrame
    source: str
    skipped: tuple[BadRow, ...] = ()
    dated: bool = False
    names: pl.DataFrame | None = None

    def __len__(self) -> int:
        """The number of events."""
        return len(self.frame)

    @property
    def has_time(self) -> bool:
        """Whether the log says when; if not, the order of the file is the order of the events."""
        return "time" in self.frame.columns
