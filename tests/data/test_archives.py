"""Compressed files: read like plain ones, in pieces, and refused in one line where they are damaged."""

import gzip
import io
import zipfile

import polars as pl
import pytest

from farzi.data import archives
from farzi.data.content import content_of
from farzi.errors import FarziError

LOG = b"user,item,time\n" + b"".join(b"u%d,i%d,%d\n" % (n % 7, n % 11, n) for n in range(500))
SKIPPABLE = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"pzst"


def zstd(data: bytes) -> bytes:
    """A frame of zstd with the lines of a text, by polars."""
    buffer = io.BytesIO()
    table = pl.DataFrame({"line": data.decode().removesuffix("\n").split("\n")})
    table.lazy().sink_csv(buffer, include_header=False, quote_style="never", compression="zstd")
    return buffer.getvalue()


def raw_frame(data: bytes, window: int = 0) -> bytes:
    """A frame of zstd with one raw block, written by hand after RFC 8878."""
    head = b"\x28\xb5\x2f\xfd" + bytes([0b10100000]) + len(data).to_bytes(4, "little")
    if window:
        head = b"\x28\xb5\x2f\xfd" + bytes([0, (window - 10) << 3])
    return head + (len(data) << 3 | 1).to_bytes(3, "little") + data


@pytest.mark.parametrize(
    "data",
    [
        zstd(LOG),
        SKIPPABLE + zstd(LOG) + SKIPPABLE,
        raw_frame(LOG[:700]) + SKIPPABLE + raw_frame(LOG[700:]),
        raw_frame(LOG, window=17),
    ],
)
def test_zstd_is_read_as_its_own_program_does(data: bytes):
    assert content_of(data, "log.csv.zst").data == LOG


def test_line_ends_of_old_macintoshes_in_zstd():
    assert content_of(
        raw_frame(LOG.removesuffix(b"\n").replace(b"\n", b"\r")), "log.csv.zst"
    ).data == LOG.removesuffix(b"\n")


def test_a_window_that_is_too_large_is_not_damage():
    with pytest.raises(FarziError, match=r"window of 2,048 MiB.*zstd -d --long=31"):
        content_of(raw_frame(LOG, window=31), "log.csv.zst")


def test_what_a_mac_adds_to_a_zip_is_ignored():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("__MACOSX/data/._log.csv", "data/.DS_Store", "Thumbs.db"):
            archive.writestr(name, b"\0\1")
        archive.writestr("data/log.csv", LOG)
    assert content_of(buffer.getvalue(), "log.zip").data == LOG


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archives, "LIMIT", 1 << 22)
    with pytest.raises(FarziError, match=r"zeros:1: is not text: .*U\+0000"):
        content_of(gzip.compress(bytes(1 << 26)), "zeros")
    with pytest.raises(FarziError, match="unpack to more than"):
        content_of(gzip.compress(b"a" * (1 << 26)), "letters")
    repeated = ((1 << 21) - 1) << 3 | 2 | 1  # the last block of its frame, one byte so many times
    frame = b"\x28\xb5\x2f\xfd" + bytes([0, 7 << 3]) + repeated.to_bytes(3, "little") + b"a"
    with pytest.raises(FarziError, match="unpack to more than"):
        content_of(frame * 3, "letters.zst")
