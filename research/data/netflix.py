"""The Netflix prize's original files: `combined_data_*.txt`, or the older folder of `mv_*.txt`.

In both, a line `17:` names a film, and the lines below it are its ratings, `user,rating,date`. The files are
read in pieces, in the order of their numbers; every rating is an event, whatever its value.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from farzi.data import Log, make_log
from farzi.data.events import Events
from farzi.errors import FarziError

PIECE = 1 << 24
"""Bytes read at a time."""
RATING = r"^\d+,[1-5],\d{4}-\d{2}-\d{2}$"
FILM = r"^\d+:$"
FORM = "a film is a line such as 17:, a rating one such as 30878,4,2005-12-26"
DAY = 86_400


@dataclass(frozen=True)
class Netflix:
    """The ratings of the Netflix prize, from the user's own copy: they are no longer published.

        data: {type: "research.data.netflix:Netflix", folder: path/to/the/copy}

    Ties: times are days, and the files list film after film. Their order would reveal the next film of a day,
    so events of one day are in an order drawn by a fixed hash.

    Attributes:
        folder: with `combined_data_*.txt`, or with `mv_*.txt`; or one such file.
        min_user_events: users with fewer events are left out.
        min_item_events: films with fewer events are left out.
    """

    folder: str
    min_user_events: int = 3
    min_item_events: int = 1

    def __call__(self) -> Log:
        """The log, each user's last event held out as the test. Raises FarziError as `events`."""
        return make_log(
            self.events(),
            ties="random",
            ties_because="times are days, and the files list film after film: their order would reveal the "
            "next film of a day",
            unseen="keep",
            min_user_events=self.min_user_events,
            min_item_events=self.min_item_events,
        )

    def events(self) -> Events:
        """All ratings as events, film after film; times are days, in seconds since 1970.

        `row` counts the lines of all files together. Titles are read if `movie_titles.csv` or
        `movie_titles.txt` is in the folder or above it.

        Raises:
            FarziError: there are no files of ratings, or a line is neither a film nor a rating (the first is
                named).
        """
        files = files_of(Path(self.folder))
        pieces, row = [], 0
        for path in files:
            film: str | None = None
            line = 0
            for lines in _pieces(path):
                piece, film = _read(lines, film, path, line)
                pieces.append(piece.with_columns((pl.col("row") + row).cast(pl.UInt32)))
                line += len(lines)
            row += line
        frame = pl.concat(pieces)
        if len(frame) == 0:
            raise FarziError(f"{self.folder}: has films but no ratings")
        return Events(frame, "netflix", dated=True, names=_titles(files[0].parent))


def files_of(place: Path) -> list[Path]:
    """The files of ratings in a folder or its `training_set`, by number; or the one file given.

    Raises:
        FarziError: there are none.
    """
    if place.is_file():
        return [place]
    for folder in (place, place / "training_set"):
        for pattern in ("combined_data_*.txt", "mv_*.txt"):
            files = sorted(folder.glob(pattern), key=_number)
            if files:
                return files
    what = "has no combined_data_*.txt and no mv_*.txt" if place.is_dir() else "no such folder"
    raise FarziError(f"{place}: {what}; the ratings of the Netflix prize are needed")


def _number(path: Path) -> tuple[int, str]:
    digits = re.search(r"\d+", path.stem.rpartition("_")[2])
    return (int(digits.group()) if digits else 0), path.name


def _pieces(path: Path) -> Iterator[list[str]]:
    """The lines of a file, in pieces of `PIECE` bytes."""
    with open(path, encoding="ascii", errors="replace", newline=None) as file:
        while lines := file.readlines(PIECE):
            yield [line.rstrip("\n") for line in lines]


def _read(lines: list[str], film: str | None, path: Path, before: int) -> tuple[pl.DataFrame, str | None]:
    """The events of some lines, and the film that the next lines belong to.

    Args:
        lines: without their ends.
        film: that the lines before belong to.
        path: for messages.
        before: number of lines of the file before these.
    """
    table = pl.DataFrame({"line": lines}, {"line": pl.String}).with_row_index("row", before + 1)
    table = table.filter(pl.col("line") != "").with_columns(
        film=pl.when(pl.col("line").str.contains(FILM)).then(pl.col("line").str.strip_chars_end(":"))
    )
    table = table.with_columns(
        item=pl.col("film").forward_fill().fill_null(film) if film else pl.col("film").forward_fill(),
        day=pl.col("line").str.slice(-10).str.to_date("%Y-%m-%d", strict=False),
    )
    ratings = table.filter(pl.col("film").is_null())
    wrong = ratings.filter(
        ~pl.col("line").str.contains(RATING) | pl.col("day").is_null() | pl.col("item").is_null()
    )
    if len(wrong):
        number, text = wrong["row"][0], wrong["line"][0]
        why = f"{text[:40]!r} is neither" if wrong["item"][0] is not None else "a rating before any film"
        raise FarziError(f"{path}:{number}: {why}; {FORM}")
    events = ratings.select(
        user=pl.col("line").str.split_exact(",", 1).struct.field("field_0"),
        item=pl.col("item"),
        time=pl.col("day").cast(pl.Int32).cast(pl.Int64) * DAY,
        row=pl.col("row").cast(pl.UInt32),
    )
    films = table["film"].drop_nulls()
    return events, (films[-1] if len(films) else film)


def _titles(folder: Path) -> pl.DataFrame | None:
    """Titles with years, `Dinosaur Planet (2003)`; None if there is no file of titles."""
    for place in (folder, folder.parent):
        for name in ("movie_titles.csv", "movie_titles.txt"):
            path = place / name
            if path.is_file():
                rows = [line.split(",", 2) for line in path.read_text(encoding="latin-1").splitlines()]
                rows = [row for row in rows if len(row) == 3]
                titles = [f"{row[2]} ({row[1]})" if row[1].isdigit() else row[2] for row in rows]
                return pl.DataFrame({"id": [row[0] for row in rows], "name": titles})
    return None
