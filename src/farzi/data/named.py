"""Where the files of named logs come from: bundled with the package, downloaded, or the user's own copy."""

import hashlib
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol

import platformdirs
import polars as pl

from farzi.data.content import content_of, read_content
from farzi.data.events import Events
from farzi.errors import FarziError
from farzi.files import sha256, write_bytes_atomic


class LogSource(Protocol):
    """A way to get a named log."""

    def get(self, file: str | None = None) -> Path:
        """The checked file on this machine; downloaded, or copied from `file`, if it is not there yet."""
        ...

    def events(self, file: str | None = None) -> Events:
        """The events with their names, read from `file` if it is given."""
        ...


@dataclass(frozen=True)
class BundledLog:
    """A Parquet file inside the package with the columns user, item, title and timestamp."""

    name: str
    sha256: str

    def get(self, file: str | None = None) -> Path:
        """The path of the file in the installed package. Raises FarziError as `bundled_file`."""
        return bundled_file(self.name, f"{self.name}.parquet", self.sha256, file)

    def events(self, file: str | None = None) -> Events:
        """The events in the order of the file, and the titles. Raises FarziError as `bundled_file`."""
        table = pl.read_parquet(self.get(file), columns=["user", "item", "title", "timestamp"])
        frame = table.select(
            pl.col("user").cast(pl.String),
            pl.col("item").cast(pl.String),
            pl.col("timestamp").cast(pl.Int64).alias("time"),
            pl.int_range(1, pl.len() + 1, dtype=pl.UInt32).alias("row"),
        )
        names = pl.DataFrame({"id": frame["item"], "name": table["title"]}).drop_nulls()
        names = names.unique("id", keep="first", maintain_order=True)
        return Events(frame, self.name, names=names, unit="row")


@dataclass(frozen=True)
class Form:
    """A file in which a log is distributed.

    Attributes:
        file: its name in archives and in the cache; a user's copy may have another.
        sha256: of its decompressed content.
        read: its content, that of `titles` (None if it is not there) and the name of the log -> events.
        titles: name of a file of titles beside it.
    """

    file: str
    sha256: str
    read: Callable[[bytes, bytes | None, str], Events]
    titles: str | None = None


@dataclass(frozen=True)
class DownloadedLog:
    """A log that is downloaded on first use, or read from the user's own copy in any of its forms.

    Attributes:
        name: of the log.
        url: where its publisher has it: one of the forms, or a zip with one.
        sha256: of the file at `url`.
        forms: those that are known.
    """

    name: str
    url: str
    sha256: str
    forms: tuple[Form, ...]

    def get(self, file: str | None = None) -> Path:
        """The path of the checked file in the cache; downloaded, or copied from `file`, if it is not there.

        Raises:
            FarziError: the address cannot be reached, `file` is not a copy of this log, or the cache cannot
                be written.
        """
        folder = cache_folder() / self.name
        if file is None:
            cached = next(
                (folder / one.file for one in self.forms if self._is_valid(folder / one.file)), None
            )
            return cached or download(self.name, self.url, self.sha256, folder)
        form, data, titles = self._find(Path(file))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if titles is not None and form.titles is not None:
                write_bytes_atomic(folder / form.titles, titles)
            write_bytes_atomic(folder / form.file, data)
        except OSError as error:
            raise cache_error(folder, error) from None
        return folder / form.file

    def events(self, file: str | None = None) -> Events:
        """The events with their titles; a copy `file` is checked, not cached. Raises FarziError as `get`."""
        form, data, titles = self._find(self.get() if file is None else Path(file))
        return form.read(data, titles, self.name)

    def _is_valid(self, path: Path) -> bool:
        return path.is_file() and sha256(path) in (form.sha256 for form in self.forms)

    def _find(self, path: Path) -> tuple[Form, bytes, bytes | None]:
        """The form that a file, or a member of a zip, has; its content and that of its titles."""
        if path.is_file() and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                members = {Path(name).name: name for name in archive.namelist()}
                form = next((form for form in self.forms if form.file in members), None)
                if form is not None:
                    data = content_of(archive.read(members[form.file]), f"{path}: {form.file}").data
                    titles = archive.read(members[form.titles]) if form.titles in members else None
                    return self._form_of(data, str(path)), data, titles
        data = read_content(path).data
        form = self._form_of(data, str(path))
        beside = None if form.titles is None else path.with_name(form.titles)
        return form, data, beside.read_bytes() if beside is not None and beside.is_file() else None

    def _form_of(self, data: bytes, source: str) -> Form:
        checksum = hashlib.sha256(data).hexdigest()
        for form in self.forms:
            if form.sha256 == checksum:
                return form
        known = ", ".join(f"{form.file} {form.sha256[:12]}…" for form in self.forms)
        raise FarziError(
            f"{source}: not a known copy of {self.name} (sha256 {checksum[:12]}…, known: {known}); it is "
            f"published at {self.url}. Another log is read by giving its file as data.source"
        )


def cache_folder() -> Path:
    """The folder of downloaded data: $FARZI_CACHE, or the user's cache folder of this system."""
    return Path(os.environ.get("FARZI_CACHE") or platformdirs.user_cache_dir("farzi", appauthor=False))


def cache_error(folder: Path, error: OSError) -> FarziError:
    """The error for a cache that cannot be written."""
    return FarziError(f"{folder}: cannot be written ({error}); set FARZI_CACHE to another folder")


def download(name: str, url: str, checksum: str, folder: Path) -> Path:
    """The path of a checked file in `folder`, downloaded if it is not there or damaged.

    Args:
        name: of the data set, for messages.
        url: address of the file.
        checksum: its SHA-256.
        folder: created if need be; the file has the last part of the address as its name.

    Raises:
        FarziError: the address cannot be reached, its file is another one, or the folder cannot be written.
    """
    import pooch
    import requests  # pooch downloads with it

    copy = "give the path of your own copy as data.file"
    try:
        return Path(pooch.retrieve(url, f"sha256:{checksum}", url.rpartition("/")[2], folder))
    except requests.RequestException as error:
        answer = error.response
        reason = type(error).__name__ if answer is None else f"{answer.status_code} {answer.reason}"
        raise FarziError(f"{name}: {url} cannot be downloaded ({reason}); {copy}") from None
    except ValueError:
        raise FarziError(
            f"{name}: the file at {url} is not the expected one (sha256 differs); {copy}"
        ) from None
    except OSError as error:
        raise cache_error(folder, error) from None


def bundled_file(name: str, file_name: str, checksum: str, file: str | None) -> Path:
    """The path of a file that comes with the package.

    Args:
        name: of the data set, for messages.
        file_name: of the file.
        checksum: its SHA-256.
        file: the user's own copy, which there is no use for.

    Raises:
        FarziError: `file` is given, or the bundled file is missing or damaged.
    """
    if file is not None:
        raise FarziError(
            f"{name} comes with the package, so data.file does not apply; "
            f"to read {file}, give it as data.source"
        )
    path = Path(str(resources.files("farzi.data") / "bundled" / file_name))
    if not path.is_file() or sha256(path) != checksum:
        raise FarziError(f"{path}: is missing or damaged; install farzi again")
    return path
