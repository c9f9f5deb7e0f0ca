"""Compressed files, and their strict, simple reading."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable

from scripts.fuzz.case import Unsure


def zstd(data: bytes) -> bytes:
    """A frame of raw blocks, without a checksum (RFC 8878)."""
    blocks = [data[at : at + 100_000] for at in range(0, len(data), 100_000)] or [b""]
    frame = b"\x28\xb5\x2f\xfd\xa0" + len(data).to_bytes(4, "little")
    for number, block in enumerate(blocks):
        frame += ((len(block) << 3) | (number == len(blocks) - 1)).to_bytes(3, "little") + block
    return frame


def unzstd(data: bytes) -> bytes:
    """What `zstd` wrote."""
    if data[:5] != b"\x28\xb5\x2f\xfd\xa0" or len(data) < 12:
        raise Unsure
    out, at, last = b"", 9, False
    while not last:
        head = int.from_bytes(data[at : at + 3], "little")
        size, last = head >> 3, bool(head & 1)
        if head & 6 or at + 3 + size > len(data):
            raise Unsure
        out, at = out + data[at + 3 : at + 3 + size], at + 3 + size
    if at != len(data) or len(out) != int.from_bytes(data[5:9], "little"):
        raise Unsure
    return out


def zipped(data: bytes) -> bytes:
    """A zip with one member."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.csv", data)
    return out.getvalue()


def unzipped(data: bytes) -> bytes:
    """What `zipped` wrote."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        [name] = archive.namelist()
        return archive.read(name)


PACKED: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    ".gz": (gzip.compress, gzip.decompress),
    ".bz2": (bz2.compress, bz2.decompress),
    ".xz": (lzma.compress, lzma.decompress),
    ".zst": (zstd, unzstd),
    ".zip": (zipped, unzipped),
}
