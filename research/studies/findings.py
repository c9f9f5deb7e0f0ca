"""Conclusions from rows, as values: tables, curves, sentences. `research.report` renders them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Attributes:
        cells: its texts, one for each column.
        command: reruns the row that it shows; empty if it shows no single row.
    """

    cells: tuple[str, ...]
    command: str = ""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: their headings, without the last column, which has the commands.
        lines: one for each row.
        words: how many columns, from the left, hold words rather than numbers.
        title: above it; empty if a study has only one.
    """

    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    words: int = 1
    title: str = ""


@dataclass(frozen=True)
class Point:
    """A point of a curve, or a bar: a mean and its 95 % interval.

    Attributes:
        x: its place; a word if the axis has words.
        mean: the figure.
        low: lower end of the interval.
        high: upper end.
    """

    x: float | str
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """Points under one name."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Chart:
    """One pair of axes.

    Attributes:
        title: above it.
        x: label of the x axis.
        y: label of the y axis, with the unit.
        curves: the curves.
        kind: "lines" over numbers, "bars" over words, or "dots": x and y of pairs, not joined.
        log: whether x is on a logarithmic scale.
        level: a dashed line at this figure, if any.
        level_name: its name in the legend.
    """

    title: str
    x: str
    y: str
    curves: tuple[Curve, ...]
    kind: str = "lines"
    log: bool = False
    level: float | None = None
    level_name: str = "full data"


@dataclass(frozen=True)
class Findings:
    """A study's conclusions from the rows that are there.

    Attributes:
        tables: one or more.
        charts: side by side in one picture; none if there are too few rows.
        conclusion: a paragraph.
    """

    tables: tuple[Table, ...]
    charts: tuple[Chart, ...]
    conclusion: str

    @property
    def headline(self) -> str:
        """The first sentence of the conclusion."""
        first, mark, _ = self.conclusion.partition(". ")
        return first + mark.strip() if mark else self.conclusion


def listed(words: Sequence[str]) -> str:
    """An enumeration: "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def paragraph(sentences: Sequence[str]) -> str:
    """Joined sentences; empty ones are left out."""
    return " ".join(one for one in sentences if one)
