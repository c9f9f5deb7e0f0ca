"""Logs of one's own: known by their checksums, read in each of their forms, kept once checked."""

import hashlib
import io
import lzma
import zipfile
from pathlib import Path

import pytest

from farzi.data.own import Form, OwnLog, read_headless, read_movielens_zip, read_table_of
from farzi.errors import FarziError

RATINGS = b"1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n"
MOVIES = "661::James and the Giant Peach (1996)::Animation\n1193::Misérables, Les (1995)::Drama\n".encode(
    "latin-1"
)
TABLE = b"user\titem\trating\torder\n1\t1193\t5\t0\n1\t661\t3\t1\n2\t1193\t4\t0\n"
LINES = b"B0001,A1,5.0,1005177600\nB0002,A1,4.0,1004486400\nB0001,A2,4.0,1052352000\n"


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in {"ml-1m/ratings.dat": RATINGS, "ml-1m/movies.dat": MOVIES}.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def form(content: bytes, *reader: object) -> Form:
    return Form(hashlib.sha256(content).hexdigest(), reader[0])  # type: ignore[arg-type]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FARZI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def log(answer: bytes | None = None) -> OwnLog:
    def fetch(url: str) -> bytes:
        if answer is None:
            raise FarziError(f"{url}: is down")
        return answer

    forms = (
        form(zipped(), read_movielens_zip),
        form(TABLE, read_table_of("user", "item", "order")),
        form(LINES, read_headless(("item", "user", "rating", "time"))),
    )
    return OwnLog("mine", "https://official/ml-1m.zip", forms, fetch)


def test_the_archive_brings_titles(cache: Path):
    events = log(zipped()).events()
    assert events.frame.select("user", "item", "time").rows() == [
        ("1", "1193", 978300760),
        ("1", "661", 978302109),
        ("2", "1193", 978298413),
    ]
    assert events.names is not None
    assert events.names.rows()[1] == ("1193", "Misérables, Les (1995)")
    assert log(None).events().frame.equals(events.frame)  # kept: nothing is fetched again


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("content", "first"), [(TABLE, ("1", "1193", 0, 2)), (LINES, ("A1", "B0001", 1005177600, 2))]
)
def test_a_copy_at_hand_in_each_form(
    tmp_path: Path, cache: Path, content: bytes, first: tuple, compressed: bool
):
    path = tmp_path / ("copy.xz" if compressed else "copy")
    path.write_bytes(lzma.compress(content) if compressed else content)
    assert log().events(str(path)).frame.row(0) == first
    assert not cache.exists()  # reading a copy keeps nothing
    assert log().get(str(path)).read_bytes() == content
    assert log().events().frame.row(0) == first


def test_another_file_is_refused_and_not_kept(tmp_path: Path, cache: Path):
    (tmp_path / "a.csv").write_bytes(TABLE + b"3\t1\t1\t1\n")
    with pytest.raises(FarziError, match=r"a\.csv: not a copy of mine that is known here \(sha256 .*, not "):
        log().get(str(tmp_path / "a.csv"))
    with pytest.raises(FarziError, match=r"official.*not a copy of mine"):
        log(b"<html>").get()
    assert not cache.exists()


def test_an_address_that_is_down_asks_for_a_copy(cache: Path):
    with pytest.raises(
        FarziError, match=r"mine cannot be had \(.*is down\); give a copy of your own with --from"
    ):
        log().get()


def test_a_damaged_copy_is_fetched_again(cache: Path):
    log(zipped()).get().write_bytes(b"damaged")
    assert log(zipped()).get().read_bytes() == zipped()
    log(zipped()).get().write_bytes(b"damaged")
    with pytest.raises(FarziError, match="is down"):
        log().events()


def test_a_cache_that_cannot_be_written_is_told(cache: Path):
    cache.write_bytes(b"in the way")
    with pytest.raises(FarziError, match="FARZI_CACHE names another place"):
        log(zipped()).get()
