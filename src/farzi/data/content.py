"""The content of a file, decompressed, and its format; both are recognised by content before name."""

import bz2
import difflib
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from farzi.errors import FarziError

COMPRESSION_SUFFIXES = (".gz", ".xz", ".zst", ".bz2", ".zip")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
DECOMPRESS = {b"\x1f\x8b": gzip.decompress, b"\xfd7zXZ\x00": lzma.decompress, b"BZh": bz2.decompress}


@dataclass(frozen=True)
class Content:
    """The decompressed bytes of a file, its name in messages, and its format."""

    data: bytes
    source: str
    kind: Literal["text", "json", "parquet"]


def read_content(path: str | Path) -> Content:
    """Read a whole file, plain or compressed (gz, xz, zst, bz2, zip with one member).

    Raises:
        FarziError: the file is missing, a folder, empty, cannot be decompressed, or is not text.
    """
    path = Path(path)
    if path.is_dir():
        raise FarziError(f"{path}: is a folder, not a file of events")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise missing(path) from None
    except OSError as error:
        raise FarziError(f"{path}: cannot be read ({error.strerror})") from None
    return content_of(data, str(path), path.name)


def content_of(data: bytes, source: str, name: str = "") -> Content:
    """`read_content` for bytes that were read already; the suffix of `name` may tell their format."""
    data, member = _decompress(data, source)
    name = (member or name).lower()
    if not data.strip():
        raise FarziError(f"{source}: the file is empty")
    for suffix in COMPRESSION_SUFFIXES:
        name = name.removesuffix(suffix)
    if data.startswith(b"PAR1"):
        return Content(data, source, "parquet")
    data = _normalized_text(data, source)
    json = name.endswith(JSON_SUFFIXES) or data.lstrip()[:1] == b"{"
    if json and data.lstrip()[:1] == b"[":
        raise FarziError(f"{source}: is one JSON array; write one object per line (jq -c '.[]')")
    return Content(data, source, "json" if json else "text")


def missing(path: Path, alternatives: Iterable[str] = ()) -> FarziError:
    """The error for a file that is not there; `alternatives` are other valid words in its place."""
    alternatives = list(alternatives)
    try:
        siblings = [sibling.name for sibling in path.parent.iterdir()]
    except OSError:
        siblings = []
    close = [str(path.parent / name) for name in difflib.get_close_matches(path.name, siblings, 2, 0.6)]
    close += difflib.get_close_matches(str(path), alternatives, 2, 0.5)
    hint = f"; named data sets: {', '.join(alternatives)}" if alternatives else ""
    if close:
        hint = f"; did you mean {' or '.join(close)}?"
    return FarziError(f"{path}: no such file{hint}")


def _decompress(data: bytes, source: str) -> tuple[bytes, str | None]:
    """The content, and the name of the member if it is a zip."""
    try:
        if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return _unzip(data, source)
        for start, decompress in DECOMPRESS.items():
            if data.startswith(start):
                return decompress(data), None
        if data.startswith(b"\x28\xb5\x2f\xfd"):
            return _unzstd(data, source), None
    except (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile) as error:
        raise FarziError(f"{source}: the compressed file is damaged ({error})") from None
    return data, None


def _unzip(data: bytes, source: str) -> tuple[bytes, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            names = ", ".join(member.filename for member in members[:5])
            message = f"a zip of {len(members)} files ({names}); unpack it and give the file of events"
            raise FarziError(f"{source}: {message}")
        try:
            return archive.read(members[0]), members[0].filename
        except (RuntimeError, NotImplementedError) as error:  # a password; an unknown method
            raise FarziError(f"{source}: cannot be unpacked ({error})") from None


def _unzstd(data: bytes, source: str) -> bytes:
    """Text only: polars reads zstd on any Python, line by line."""
    try:
        return "\n".join(pl.read_lines(data)["line"]).encode() + b"\n"
    except pl.exceptions.PolarsError as error:
        raise FarziError(f"{source}: is not UTF-8 text ({error}); unpack it first (zstd -d)") from None


def _normalized_text(data: bytes, source: str) -> bytes:
    r"""Text without byte order mark, lines ending in `\n`; UTF-8 is checked later, line by line."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FarziError(f"{source}: is UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)")
    data = data.removeprefix(b"\xef\xbb\xbf")
    data = data.removesuffix(b"\x1a")  # the end of a file of DOS
    if (place := data.find(0)) >= 0:
        raise FarziError(f"{source}:{data.count(10, 0, place) + 1}: is not text: it has a NUL character")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        if b"\n" not in data:
            data = data.replace(b"\r", b"\n")
    return data
