"""Where the files of named logs and texts come from: the package, a download, or the user's own copy."""

import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import platformdirs
import polars as pl

from farzi.data.content import Content, content_of, read_content
from farzi.data.events import Events, read_events, read_names
from farzi.data.text.documents import files_of, part_of, read_text
from farzi.errors import FarziError
from farzi.files import sha256, write_bytes_atomic


@dataclass(frozen=True)
class _Bundled:
    """A file inside the package; `name` is that of the data set."""

    name: str
    file: str
    sha256: str

    def get(self, file: str | None = None) -> Path:
        """The path of the file in the installed package.

        Raises:
            FarziError: the user's own copy `file` is given, or the bundled file is missing or damaged.
        """
        if file is not None:
            raise FarziError(
                f"{self.name} comes with the package, so data.file does not apply; "
                f"to read {file}, give it as data.source"
            )
        path = Path(str(resources.files("farzi.data") / "bundled" / self.file))
        if not path.is_file() or sha256(path) != self.sha256:
            raise FarziError(f"{path}: is missing or damaged; install farzi again")
        return path


class BundledLog(_Bundled):
    """A Parquet file inside the package with the columns user, item, title and timestamp."""

    def events(self, file: str | None = None) -> Events:
        """The events in the order of the file, and the titles. Raises FarziError as `get`."""
        path = self.get(file)
        events = read_events(path)
        return replace(events, source=self.name, names=read_names(path))


@dataclass(frozen=True)
class Form:
    """A file in which a log is distributed: delimited text, whose columns are recognised by their names.

    Attributes:
        file: its name in archives and in the cache; a user's copy may have another.
        sha256: of its decompressed content.
        header: the line that names the columns, if the file has none.
        titles: name of a file of titles beside it.
        read_titles: the content of that file -> the title of each id.
    """

    file: str
    sha256: str
    header: bytes = b""
    titles: str | None = None
    read_titles: Callable[[bytes], dict[str, str]] = lambda data: {}

    def events(self, data: bytes, titles: bytes | None, name: str) -> Events:
        """The events in a content, with the titles if there are any."""
        table = self.header + data.replace(b"::", b"\t")  # MovieLens-1M has double colons between fields
        events = read_events(Content(table, name, "text"))
        if titles is None or self.titles is None:
            return events
        title_of = self.read_titles(titles)
        names = {"id": list(title_of), "name": [title.strip() for title in title_of.values()]}
        return replace(events, names=pl.DataFrame(names))


def titles_between(delimiter: str, data: bytes) -> dict[str, str]:
    """Titles of MovieLens: the first two fields of each line are id and title; Latin-1, no header."""
    rows = (line.split(delimiter) for line in data.decode("latin-1").splitlines())
    return {row[0]: row[1] for row in rows if len(row) > 1}


def recbole_titles(data: bytes) -> dict[str, str]:
    """Titles in a `.item` file of RecBole, which has the years in a column of their own."""
    titles = {}
    for line in data.decode("utf-8").splitlines()[1:]:
        id, title, *rest = line.split("\t")
        year = rest[0].strip() if rest else ""
        title = {"unkonwn": "unknown"}.get(title, title)  # (sic) item 267
        titles[id] = f"{title} ({year})" if year.isdigit() else title
    return titles


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
            FarziError: there is no download, `file` is no copy of this log, or the cache cannot be written.
        """
        folder = cache_folder() / self.name
        if file is None:
            sums = [form.sha256 for form in self.forms]
            cached = (folder / form.file for form in self.forms)
            valid = (path for path in cached if path.is_file() and sha256(path) in sums)
            return next(valid, None) or download(self.name, self.url, self.sha256, folder)
        form, data, titles = self._find(Path(file))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if titles is not None and form.titles is not None:
                write_bytes_atomic(folder / form.titles, titles)
            write_bytes_atomic(folder / form.file, data)
        except OSError as error:
            raise _cache_error(folder, error) from None
        return folder / form.file

    def events(self, file: str | None = None) -> Events:
        """The events with their titles; a copy `file` is checked, not cached. Raises FarziError as `get`."""
        form, data, titles = self._find(self.get() if file is None else Path(file))
        return form.events(data, titles, self.name)

    def _find(self, path: Path) -> tuple[Form, bytes, bytes | None]:
        """The form that a file, or a member of a zip, has; its content and that of its titles."""
        if path.is_file() and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                members = {Path(name).name: name for name in archive.namelist()}
                for form in self.forms:
                    if form.file in members:
                        data = content_of(archive.read(members[form.file]), f"{path}: {form.file}").data
                        titles = archive.read(members[form.titles]) if form.titles in members else None
                        return self._form_of(data, path), data, titles
        data = read_content(path).data
        form = self._form_of(data, path)
        beside = path.with_name(form.titles or form.file)
        return form, data, beside.read_bytes() if form.titles and beside.is_file() else None

    def _form_of(self, data: bytes, path: Path) -> Form:
        checksum = hashlib.sha256(data).hexdigest()
        for form in self.forms:
            if form.sha256 == checksum:
                return form
        known = ", ".join(f"{form.file} {form.sha256[:12]}…" for form in self.forms)
        raise FarziError(
            f"{path}: not a known copy of {self.name} (sha256 {checksum[:12]}…, known: {known}); it is "
            f"published at {self.url}. Another log is read by giving its file as data.source"
        )


class BundledText(_Bundled):
    """A compressed text file inside the package."""

    def texts(self, file: str | None = None) -> dict[str, list[str]]:
        """The text, in no parts. Raises FarziError as `get`."""
        return {"train": [read_text(self.get(file), allowed="\x02")]}  # which sotu has once


@dataclass(frozen=True)
class CopiedText:
    """A text that may not be redistributed: three files of the user's own, checked and copied to the cache.

    Attributes:
        name: of the text; its files are `NAME.train.txt`, `NAME.valid.txt`, `NAME.test.txt`.
        sums: sha256 of the decompressed files, by part.
    """

    name: str
    sums: Mapping[str, str]

    def get(self, file: str | None = None) -> Path:
        """The folder in the cache with the three checked files, copied from the folder `file` if given.

        Raises:
            FarziError: there is no copy, it has other files, or the cache cannot be written.
        """
        folder = cache_folder() / self.name
        if file is None and not folder.is_dir():
            raise FarziError(
                f"{self.name} may not be redistributed, so it cannot be downloaded; "
                "give the folder of your own copy as data.file"
            )
        copy = folder if file is None else Path(file)
        parts = self._read(copy)
        if folder.resolve() != copy.resolve():
            try:
                folder.parent.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                for part, data in parts.items():
                    write_bytes_atomic(folder / f"{self.name}.{part}.txt", data)
            except OSError as error:
                raise _cache_error(folder, error) from None
        return folder

    def texts(self, file: str | None = None) -> dict[str, list[str]]:
        """The three texts; a copy `file` is checked, not cached. Raises FarziError as `get`."""
        parts = self._read(self.get() if file is None else Path(file))
        return {part: [data.decode()] for part, data in parts.items()}

    def _read(self, folder: Path) -> dict[str, bytes]:
        """The checked content of each part, plain or compressed on disk."""
        if not folder.is_dir():
            raise FarziError(f"{folder}: no such folder; give the one with the three files of {self.name}")
        files = files_of(folder)
        parts = {}
        for part, expected in self.sums.items():
            named = [file for file in files if part_of(file) == part]
            if len(named) != 1:
                raise FarziError(
                    f"{folder}: has {len(named) or 'no'} files for {part} by their names; "
                    f"one such as {self.name}.{part}.txt is needed"
                )
            parts[part] = read_content(named[0]).data
            checksum = hashlib.sha256(parts[part]).hexdigest()
            if checksum != expected:
                raise FarziError(
                    f"{named[0]}: not the {part} text of {self.name} "
                    f"(sha256 {checksum[:12]}…, not {expected[:12]}…)"
                )
        return parts


def download(name: str, url: str, checksum: str, folder: Path) -> Path:
    """The path of a file with a known SHA-256 in `folder`, downloaded if it is not there or damaged.

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
        raise _cache_error(folder, error) from None


def cache_folder() -> Path:
    """The folder of downloaded data: $FARZI_CACHE, or the user's cache folder of this system."""
    return Path(os.environ.get("FARZI_CACHE") or platformdirs.user_cache_dir("farzi", appauthor=False))


def _cache_error(folder: Path, error: OSError) -> FarziError:
    return FarziError(f"{folder}: cannot be written ({error}); set FARZI_CACHE to another folder")
