"""Compressed files, unpacked piece by piece, so that one that unpacks to nonsense is refused early."""

import bz2
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import IO

import polars as pl

from farzi.errors import FarziError

PIECE = 1 << 20
LIMIT, RATIO = 1 << 28, 200
"""More than so many bytes, and so many times the compressed size, no log or text unpacks to."""
STREAMS: dict[bytes, Callable[[IO[bytes]], IO[bytes]]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),  # type: ignore[return-value]
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"BZh": bz2.BZ2File,
}
ZSTD, ZSTD_WINDOW, ZSTD_BLOCK = b"\x28\xb5\x2f\xfd", 1 << 27, 1 << 17
"""A frame of zstd (RFC 8878), the largest window that is read, and the most that a block unpacks to."""
DAMAGE = (
    *(OSError, EOFError, ValueError, IndexError, OverflowError, struct.error),
    *(lzma.LZMAError, zlib.error, zipfile.BadZipFile, pl.exceptions.PolarsError),
)


def unpack(data: bytes, source: str) -> tuple[Iterator[bytes], str]:
    """The content of a file in pieces, and the name of the member if it is a zip.

    Raises:
        FarziError: here or from the iterator: the file is damaged, cannot be unpacked, or unpacks to far more
            than any log.
    """
    try:
        if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            stream, member = _zip_member(data, source)
            return _pieces(stream, len(data), source), member
        for start, opened in STREAMS.items():
            if data.startswith(start):
                return _pieces(opened(io.BytesIO(data)), len(data), source), ""
        if data.startswith(ZSTD) or _is_skippable(data[:4]):
            return iter([_unzstd(data, source)]), ""
    except DAMAGE as error:
        raise _damaged(source, error) from None
    return iter([data]), ""


def _pieces(stream: IO[bytes], size: int, source: str) -> Iterator[bytes]:
    total = 0
    while True:
        try:
            piece = stream.read(PIECE)
        except DAMAGE as error:
            raise _damaged(source, error) from None
        except (RuntimeError, NotImplementedError) as error:  # of a zip: a password; an unknown method
            raise FarziError(f"{source}: cannot be unpacked ({error})") from None
        if not piece:
            return
        total += len(piece)
        _check_size(total, size, source, "unpack it first")
        yield piece


def _check_size(total: int, size: int, source: str, hint: str) -> None:
    if total > LIMIT and total > RATIO * size:
        raise FarziError(
            f"{source}: {size:,} bytes unpack to more than {total - 1:,}; if that is right, {hint}"
        )


def _damaged(source: str, error: Exception) -> FarziError:
    return FarziError(f"{source}: the compressed file is damaged ({error})")


def _zip_member(data: bytes, source: str) -> tuple[IO[bytes], str]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except NotImplementedError as error:  # of a later version of zip
        raise FarziError(f"{source}: cannot be unpacked ({error})") from None
    members = [one for one in archive.infolist() if not one.is_dir() and not _is_of_the_system(one.filename)]
    if any(one.filename == "[Content_Types].xml" for one in members):
        raise FarziError(f"{source}: is an Excel file; save it as CSV")
    if len(members) != 1:
        names = ", ".join(member.filename for member in members[:5])
        message = f"a zip of {len(members)} files ({names}); unpack it and give the file of events"
        raise FarziError(f"{source}: {message}")
    try:
        return archive.open(members[0]), members[0].filename
    except (RuntimeError, NotImplementedError) as error:
        raise FarziError(f"{source}: cannot be unpacked ({error})") from None


def _is_of_the_system(member: str) -> bool:
    """Whether a member of a zip is what macOS or Windows add: `__MACOSX/`, `.DS_Store`, `Thumbs.db`."""
    parts = PurePosixPath(member).parts
    return any(one == "__MACOSX" or one.startswith(".") for one in parts) or parts[-1] in (
        "Thumbs.db",
        "desktop.ini",
    )


def _unzstd(data: bytes, source: str) -> bytes:
    """Text only: polars reads zstd on any Python, line by line, but neither skippable frames nor other bytes.

    Bytes that are not UTF-8 become 0xFF, which is none either: the lines with them are refused later.
    """
    data = _without_skippable_frames(data, source)
    try:
        lines = pl.read_lines(data)["line"]
    except pl.exceptions.NoDataError:
        return b""
    except pl.exceptions.ComputeError as error:
        if "utf8" not in str(error):
            raise
        options = {"has_header": False, "separator": "\x01", "quote_char": None, "eol_char": "\n"}
        table = pl.read_csv(data, schema={"line": pl.String}, encoding="utf8-lossy", **options)
        lines = table["line"].fill_null("")
    text = lines.str.join("\n").item().encode().replace("\ufffd".encode(), b"\xff")
    return text + b"\n" if len(lines) > 1 else text  # one line may have the line ends of old Macintoshes


def _without_skippable_frames(data: bytes, source: str) -> bytes:
    """The frames with content, as `zstd -d` reads them; raises FarziError if they unpack to far too much."""
    frames, at, total = [], 0, 0
    while at < len(data):
        if _is_skippable(data[at : at + 4]):
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            continue
        end, size, window = _zstd_frame(data, at)
        if window > ZSTD_WINDOW:
            raise FarziError(
                f"{source}: was compressed with a window of {window >> 20:,} MiB, and up to 128 are read; "
                "unpack it first (zstd -d --long=31)"
            )
        frames.append(data[at:end])
        at, total = end, total + size
    _check_size(total, len(data), source, "unpack it first (zstd -d)")
    return data if len(frames) == 1 and len(frames[0]) == len(data) else b"".join(frames)


def _is_skippable(magic: bytes) -> bool:
    return 0x50 <= magic[0] <= 0x5F and magic[1:] == b"\x2a\x4d\x18" if magic else False


def _zstd_frame(data: bytes, at: int) -> tuple[int, int, int]:
    """Where a frame ends, an upper bound of its content's size, and its window, in bytes."""
    if data[at : at + 4] != ZSTD:
        raise ValueError("not a frame of zstd")
    flags = data[at + 4]
    single, at = flags >> 5 & 1, at + 5
    window = 0 if single else (8 + (data[at] & 7)) << (7 + (data[at] >> 3))
    at += 1 - single + (0, 1, 2, 4)[flags & 3]
    width = (single, 2, 4, 8)[flags >> 6]
    content = int.from_bytes(data[at : at + width], "little") + 256 * (width == 2)
    window, at, bound, last = window or content, at + width, 0, False
    while not last:
        if at + 3 > len(data):
            raise EOFError("it ends before its last block")
        block = int.from_bytes(data[at : at + 3], "little")
        last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
        bound += ZSTD_BLOCK if kind == 2 else size
        at += 3 + (1 if kind == 1 else size)
    return at + (4 if flags & 4 else 0), content if width else bound, window
