"""The content of a file, unpacked, and its format; both are recognised by content before name."""

import codecs
import difflib
import io
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from farzi.data.archives import PIECE, unpack
from farzi.errors import FarziError

COMPRESSION_SUFFIXES = (".gz", ".xz", ".zst", ".bz2", ".zip")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
CONTROL = bytes(code for code in range(32) if chr(code) not in "\t\n\r\f\x1a")
RECODE = "save it as UTF-8, or name its encoding, as in data.encoding=latin-1"
DOS_END = b"\x1a"  # Ctrl-Z, which ended files of DOS; refused elsewhere


@dataclass(frozen=True)
class Content:
    """The unpacked bytes of a file, its name in messages, and its format; or a folder's Parquet files."""

    data: bytes
    source: str
    kind: Literal["text", "json", "parquet"]
    files: tuple[Path, ...] = ()


def read_content(path: str | Path, allowed: str = "", encoding: str | None = None) -> Content:
    """Read a whole file, plain or compressed (gz, xz, zst, bz2, zip with one member), or list a folder's.

    Args:
        path: the file.
        allowed: control characters that the text may have, such as one that separates fields.
        encoding: of a text; UTF-8 if None.

    Raises:
        FarziError: the file is missing, a folder, empty, cannot be unpacked, or is not text of this encoding.
    """
    path = Path(path)
    if path.is_dir():
        if files := parquet_files(path):
            return Content(b"", str(path), "parquet", files)
        raise FarziError(f"{path}: is a folder without Parquet files; give a file of events")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise missing(path) from None
    except OSError as error:
        raise FarziError(f"{path}: cannot be read ({error.strerror})") from None
    return content_of(data, str(path), path.name, allowed, encoding)


def parquet_files(folder: Path) -> tuple[Path, ...]:
    """The Parquet files in a folder and below, in the order of their paths; without hidden ones."""
    inside = (one.relative_to(folder) for one in folder.rglob("*.parquet"))
    shown = (one for one in inside if not any(part.startswith((".", "_")) for part in one.parts))
    return tuple(folder / one for one in sorted(shown))


def content_of(
    data: bytes, source: str, name: str = "", allowed: str = "", encoding: str | None = None
) -> Content:
    """`read_content` for bytes that were read already; the suffix of `name` may tell their format."""
    pieces, member = unpack(data, source)
    if encoding is not None and codecs.lookup(encoding).name not in ("utf-8", "utf-8-sig"):
        pieces = _recoded(pieces, encoding, source)
    name = (member or name).lower()
    for suffix in COMPRESSION_SUFFIXES:
        name = name.removesuffix(suffix)
    data = _joined(pieces, source, bytes(set(CONTROL) - set(allowed.encode())))
    if data.startswith(b"PAR1"):
        return Content(data, source, "parquet")
    data = _normalized_text(data, source, allowed)
    first = re.search(rb"\S", data)
    if first is None:
        raise FarziError(f"{source}: the file is empty")
    json = name.endswith(JSON_SUFFIXES) or first[0] == b"{"
    if json and first[0] == b"[":
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


def _recoded(pieces: Iterator[bytes], encoding: str, source: str) -> Iterator[bytes]:
    """Text of another encoding as UTF-8; Parquet as it is."""
    decoder, line, text = codecs.getincrementaldecoder(encoding)(), 1, None
    for piece in itertools.chain(pieces, [b""]):
        if text is None and piece.startswith(b"PAR1"):
            yield piece
            yield from pieces
            return
        for start in range(0, max(1, len(piece)), PIECE):
            try:
                text = decoder.decode(piece[start : start + PIECE], final=not piece)
                recoded = text.encode()
            except UnicodeError as error:
                if isinstance(error, UnicodeDecodeError):
                    line += error.object.count(b"\n", 0, error.start)
                raise FarziError(f"{source}:{line}: is not {encoding} text (data.encoding)") from None
            line += text.count("\n")
            yield recoded


def _joined(pieces: Iterator[bytes], source: str, control: bytes) -> bytes:
    """All pieces; text is checked as it comes, so that a gigabyte of zeros is not unpacked to its end."""
    whole = io.BytesIO()
    parquet = None
    for piece in pieces:
        if parquet is None:
            parquet = piece.startswith(b"PAR1")
            if piece[257:262] == b"ustar":
                raise FarziError(f"{source}: is a tar archive; unpack it and give the file of events")
            if piece.startswith(b"\xd0\xcf\x11\xe0"):
                raise FarziError(f"{source}: is an Excel file; save it as CSV")
            if piece.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise FarziError(f"{source}: is UTF-16; save it as UTF-8, or give data.encoding=utf-16")
        for start in range(0, 0 if parquet else len(piece), PIECE):
            part = piece[start : start + PIECE]
            if len(part.translate(None, control)) < len(part):
                whole.write(piece[: start + PIECE])
                raise _not_text(whole.getvalue(), source, control)
        if len(piece) > PIECE and whole.tell() == 0:
            return piece  # the only one
        whole.write(piece)
    return whole.getvalue()


def _normalized_text(data: bytes, source: str, allowed: str) -> bytes:
    r"""Text without byte order mark, lines ending in `\n`; UTF-8 is checked later, line by line."""
    data = data.removeprefix(b"\xef\xbb\xbf").rstrip(DOS_END)
    if DOS_END in data and DOS_END.decode() not in allowed:
        raise _not_text(data, source, DOS_END)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        if b"\n" not in data:
            data = data.replace(b"\r", b"\n")
    return data


def _not_text(data: bytes, source: str, control: bytes) -> FarziError:
    at = min(place for place in map(data.find, (bytes([code]) for code in control)) if place >= 0)
    ends = b"\n" if b"\n" in data else b"\r"
    return FarziError(
        f"{source}:{data.count(ends, 0, at) + 1}: is not text: it has the control character "
        f"U+{data[at]:04X}; remove it, or save the file as text"
    )
