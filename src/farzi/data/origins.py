"""Ways to have a named data set on this machine; here the shortest: it is carried inside the package."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol

import polars as pl

from farzi.data.events import Events
from farzi.errors import FarziError
from farzi.files import sha256


class Origin(Protocol):
    """A way to have a data set on this machine."""

    def get(self, file: str | None = None) -> Path:
        """The checked events on disk, fetched (or taken from the copy `file`) if they are not there yet."""
        ...

    def events(self, file: str | None = None) -> Events:
        """The events, with their names."""
        ...


@dataclass(frozen=True)
class Carried:
    """A Parquet file inside the package with the columns user, item, title and timestamp."""

    name: str
    sha256: str

    def get(self, file: str | None = None) -> Path:
        """The file's path in the installed package.

        Raises:
            FarziError: `file` is given, or the carried file is damaged.
        """
        if file is not None:
            raise FarziError(
                f"{self.name} comes with the package and takes no --from; to read {file}, name it as the data"
            )
        path = Path(str(resources.files("farzi.data") / "carried" / f"{self.name}.parquet"))
        if not path.is_file() or sha256(path) != self.sha256:
            raise FarziError(f"{path}: is missing or damaged; install farzi again")
        return path

    def events(self, file: str | None = None) -> Events:
        """The events in the order of the file, and the titles."""
        table = pl.read_parquet(self.get(file), columns=["user", "item", "title", "timestamp"])
        ids = table.select(
            pl.col("user").cast(pl.String),
            pl.col("item").cast(pl.String),
            pl.col("timestamp").cast(pl.Int64).alias("time"),
            pl.int_range(1, pl.len() + 1, dtype=pl.UInt32).alias("row"),
        )
        names = pl.DataFrame({"id": ids["item"], "name": table["title"]}).drop_nulls()
        return Events(ids, self.name, names=names.unique("id", keep="first", maintain_order=True))
