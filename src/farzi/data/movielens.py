"""File formats of named logs: MovieLens-100k, RecBole's copy of it, MovieLens-1M, and plain tables."""

from collections.abc import Callable

import polars as pl

from farzi.data.content import Content
from farzi.data.events import Events, events_of


def read_u_data(content: bytes, titles: bytes | None, name: str) -> Events:
    """`u.data` (tabs, no header) and `u.item` (bars, no header, Latin-1) of MovieLens-100k."""
    rows = None if titles is None else [line.split("|") for line in titles.decode("latin-1").splitlines()]
    names = None if rows is None else _names({row[0]: row[1] for row in rows if len(row) > 1})
    return _events(b"user\titem\trating\ttime\n" + content, name, names)


def read_inter(content: bytes, titles: bytes | None, name: str) -> Events:
    """`ml-100k.inter` and `ml-100k.item` of RecBole (tabs, headers with types, years apart from titles)."""
    names = None if titles is None else _names(_recbole_titles(titles.decode("utf-8")))
    return _events(content, name, names)


def read_dat(content: bytes, titles: bytes | None, name: str) -> Events:
    """`ratings.dat` and `movies.dat` of MovieLens-1M: fields between double colons, Latin-1 titles."""
    rows = None if titles is None else [line.split("::") for line in titles.decode("latin-1").splitlines()]
    names = None if rows is None else _names({row[0]: row[1] for row in rows})
    return _events(b"user\titem\trating\ttime\n" + content.replace(b"::", b"\t"), name, names)


def table_reader(
    time: str, header: tuple[str, ...] | None = None
) -> Callable[[bytes, bytes | None, str], Events]:
    """A reader of a delimited table with the columns "user", "item" and `time`.

    Args:
        time: the time column.
        header: the columns of a comma-separated table that has no header.
    """

    def read(content: bytes, titles: bytes | None, name: str) -> Events:
        first = b"" if header is None else ",".join(header).encode() + b"\n"
        return events_of(Content(first + content, name, "text"), "user", "item", time)

    return read


def _events(table: bytes, name: str, names: pl.DataFrame | None) -> Events:
    events = events_of(Content(table, name, "text"))
    return Events(events.frame, name, names=names)


def _names(titles: dict[str, str]) -> pl.DataFrame:
    return pl.DataFrame({"id": list(titles), "name": [title.strip() for title in titles.values()]})


def _recbole_titles(table: str) -> dict[str, str]:
    titles = {}
    for line in table.splitlines()[1:]:
        id, title, *rest = line.split("\t")
        year = rest[0].strip() if rest else ""
        title = {"unkonwn": "unknown"}.get(title, title)  # (sic) item 267
        titles[id] = f"{title} ({year})" if year.isdigit() else title
    return titles
