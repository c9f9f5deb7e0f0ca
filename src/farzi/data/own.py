"""Named logs that may not be passed on: fetched from their own address, or a copy of the user's own, checked.

A log goes round in several forms: the archive of its publisher, a table that someone made of it. Each form is
known by its checksum, and read in its own way.
"""

import hashlib
import io
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from farzi.data.events import Events
from farzi.data.fetching import cache_folder, download
from farzi.data.opening import Content, open_file
from farzi.data.reading import events_of
from farzi.errors import FarziError
from farzi.files import new_folder

COPY = "copy"
"""The checked copy's name in the cache."""


@dataclass(frozen=True)
class Form:
    """A form in which a log goes round.

    Attributes:
        sha256: of the file; of its content where the file is compressed and no zip.
        read: from that content and the log's name to events, with names where it has them.
    """

    sha256: str
    read: Callable[[bytes, str], Events]


@dataclass(frozen=True)
class OwnLog:
    """The ways to a log that the project does not carry.

    Attributes:
        name: the log's.
        url: where its publisher has it; the first form.
        forms: those that are known.
        download: fetches an address; raises FarziError.
    """

    name: str
    url: str
    forms: tuple[Form, ...]
    download: Callable[[str], bytes] = download

    def get(self, file: str | None = None) -> Path:
        """Path of the checked copy in the cache, fetched or taken from `file` if it is not there.

        Raises:
            FarziError: the address cannot be reached, `file` is no known form of this log, or the cache
                cannot be written.
        """
        folder = cache_folder() / self.name
        path = folder / COPY
        if file is None and path.is_file() and self._form(path.read_bytes()) is not None:
            return path
        content = self._fetch() if file is None else self._content(Path(file))
        self._known(content, self.url if file is None else file)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            with new_folder(folder) as new:
                (new / COPY).write_bytes(content)
        except OSError as error:
            raise FarziError(
                f"{folder}: cannot be written ({error}); FARZI_CACHE names another place"
            ) from None
        return path

    def events(self, file: str | None = None) -> Events:
        """The events; a copy `file` is checked, not cached. Raises FarziError as `get`."""
        content = self.get().read_bytes() if file is None else self._content(Path(file))
        return self._known(content, file or self.name).read(content, self.name)

    def _fetch(self) -> bytes:
        try:
            return self.download(self.url)
        except FarziError as error:
            raise FarziError(
                f"{self.name} cannot be had ({error}); give a copy of your own with --from FILE"
            ) from None

    def _content(self, path: Path) -> bytes:
        """A zip as it is, anything else without its compression."""
        if path.is_file() and zipfile.is_zipfile(path):
            return path.read_bytes()
        return open_file(path).data

    def _known(self, content: bytes, source: str) -> Form:
        form = self._form(content)
        if form is None:
            found = hashlib.sha256(content).hexdigest()
            known = ", ".join(f"{one.sha256[:12]}…" for one in self.forms)
            raise FarziError(
                f"{source}: not a copy of {self.name} that is known here (sha256 {found[:12]}…, not "
                f"{known}); {self.url} has it. Any file of events can be named as the data itself"
            )
        return form

    def _form(self, content: bytes) -> Form | None:
        found = hashlib.sha256(content).hexdigest()
        return next((form for form in self.forms if form.sha256 == found), None)


def read_table_of(user: str, item: str, time: str) -> Callable[[bytes, str], Events]:
    """A reader of a table with a header and these columns."""

    def read(content: bytes, name: str) -> Events:
        return events_of(Content(content, name, "text"), user, item, time)

    return read


def read_headless(names: tuple[str, ...]) -> Callable[[bytes, str], Events]:
    """A reader of comma-separated lines without a header, whose columns have these names."""

    def read(content: bytes, name: str) -> Events:
        header = ",".join(names).encode() + b"\n"
        return events_of(Content(header + content, name, "text"), "user", "item", "time")

    return read


def read_movielens_zip(content: bytes, name: str) -> Events:
    """`ratings.dat` and `movies.dat` of a MovieLens archive: fields between double colons, Latin-1 titles."""
    with zipfile.ZipFile(io.BytesIO(content)) as members:
        found = {Path(member).name: member for member in members.namelist()}
        ratings, movies = (members.read(found[part]) for part in ("ratings.dat", "movies.dat"))
    table = b"user\titem\trating\ttime\n" + ratings.replace(b"::", b"\t")
    events = events_of(Content(table, name, "text"), "user", "item", "time")
    rows = [line.split("::") for line in movies.decode("latin-1").splitlines()]
    titles = pl.DataFrame({"id": [row[0] for row in rows], "name": [row[1].strip() for row in rows]})
    return Events(events.frame, name, names=titles)
