"""Named logs: bundled, downloaded from a local server, or the user's own copy in any known form."""

import hashlib
import io
import json
import lzma
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest

from farzi.data import load_dataset
from farzi.data.catalog import LOGS
from farzi.data.events import Events
from farzi.data.named import (
    BundledLog,
    DownloadedLog,
    Form,
    cache_folder,
    download,
    recbole_titles,
    titles_between,
)
from farzi.errors import FarziError
from farzi.files import sha256
from farzi.recipe.variants import LogData

HEADER = b"user\titem\trating\ttime\n"
U_DATA = b"196\t242\t3\t881250949\n186\t302\t3\t891717742\n22\t377\t1\t878887116\n"
U_ITEM = "242|Kolya (1996)|24-Jan-1997||http://x|0|1\n302|Misérables, Les (1995)|01||http://y|0|1\n".encode(
    "latin-1"
)
INTER = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + U_DATA
ITEM = (
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "242\tKolya\t1996\tComedy\n302\tMisérables, Les\t1995\tDrama\n"
).encode()
RATINGS = U_DATA.replace(b"\t", b"::")
MOVIES = "242::Kolya (1996)::Comedy\n302::Misérables, Les (1995)::Drama\n".encode("latin-1")
TABLE = b"user\titem\trating\torder\n" + U_DATA
LINES = b"242,196,3,881250949\n302,186,3,891717742\n377,22,1,878887116\n"


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name.replace("__", "/").replace("_dot_", ".")), data)
    return buffer.getvalue()


OFFICIAL = zipped(mine__u_dot_data=U_DATA, mine__u_dot_item=U_ITEM, mine__README=b"")
WHEEL = zipped(recbole__ml_dot_inter=INTER, recbole__ml_dot_item=ITEM, x__y=b"")


def checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


FORMS = (
    Form("u.data", checksum(U_DATA), HEADER, "u.item", partial(titles_between, "|")),
    Form("ml.inter", checksum(INTER), b"", "ml.item", recbole_titles),
    Form("ratings.dat", checksum(RATINGS), HEADER, "movies.dat", partial(titles_between, "::")),
    Form("ordered.tsv", checksum(TABLE)),
    Form("lines.csv", checksum(LINES), b"item,user,rating,time\n"),
)


class Server:
    """A publisher on this machine: answers with `answer`, or 404 if it is None, and counts requests."""

    def __init__(self) -> None:
        self.answer: bytes | None = OFFICIAL
        self.requests = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                self.send_response(200 if server.answer is not None else 404)
                self.end_headers()
                self.wfile.write(server.answer or b"")

            def log_message(self, format: str, *args: object) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/mine.zip"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FARZI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def log(server: Server, cache: Path) -> DownloadedLog:
    return DownloadedLog("mine", server.url, checksum(OFFICIAL), FORMS)


def assert_right(events: Events, titles: bool = True) -> None:
    assert events.frame.drop("row").rows() == [
        ("196", "242", 881250949),
        ("186", "302", 891717742),
        ("22", "377", 878887116),
    ]
    assert events.source == "mine"
    assert (events.names is not None) == titles
    if events.names is not None:
        assert events.names.rows() == [("242", "Kolya (1996)"), ("302", "Misérables, Les (1995)")]


def test_a_log_is_downloaded_once(log: DownloadedLog, server: Server, cache: Path):
    assert log.get() == cache / "mine" / "mine.zip"
    assert log.get().read_bytes() == OFFICIAL
    assert_right(log.events())
    assert server.requests == 1


def test_a_damaged_download_is_downloaded_again(log: DownloadedLog, server: Server):
    log.get().write_bytes(b"damaged")
    assert_right(log.events())
    assert server.requests == 2


def test_a_file_that_changed_at_the_address_is_refused(log: DownloadedLog, server: Server, cache: Path):
    server.answer = b"<html>"
    with pytest.raises(FarziError, match=r"mine: the file at http.* is not the expected one.*data\.file"):
        log.get()
    assert not (cache / "mine" / "mine.zip").exists()


def test_without_the_address_the_message_names_the_alternative(log: DownloadedLog, server: Server):
    server.answer = None
    with pytest.raises(
        FarziError, match=r"mine: http.*zip cannot be downloaded \(404 .*own copy as data\.file"
    ):
        log.get()


def test_without_a_network_the_message_is_one_line(cache: Path):
    with pytest.raises(FarziError) as caught:
        download("mine", "http://127.0.0.1:9/mine.zip", "0" * 64, cache)
    assert "cannot be downloaded (ConnectionError); give the path of your own copy" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("way", ["download", "copy"])
def test_a_cache_that_cannot_be_written_is_reported(
    log: DownloadedLog, cache: Path, tmp_path: Path, way: str
):
    cache.write_bytes(b"in the way")
    (tmp_path / "u.data").write_bytes(U_DATA)
    with pytest.raises(FarziError, match=r"cannot be written.*FARZI_CACHE"):
        log.get(None if way == "download" else str(tmp_path / "u.data"))


@pytest.mark.parametrize(
    ("name", "data", "beside", "kept"),
    [
        ("u.data", U_DATA, ("u.item", U_ITEM), "u.data"),
        ("u.data", U_DATA.replace(b"\n", b"\r\n"), ("u.item", U_ITEM), "u.data"),
        ("other.xz", lzma.compress(U_DATA), ("u.item", U_ITEM), "u.data"),
        ("ml.inter", INTER, ("ml.item", ITEM), "ml.inter"),
        ("ratings.dat", RATINGS, ("movies.dat", MOVIES), "ratings.dat"),
        ("mine.zip", OFFICIAL, None, "u.data"),
        ("recbole-py3-none-any.whl", WHEEL, None, "ml.inter"),
        ("table", TABLE, ("u.item", b""), "ordered.tsv"),
        ("lines.zip", zipped(any_dot_csv=LINES), None, "lines.csv"),
    ],
)
def test_a_copy_is_read_in_each_form(
    log: DownloadedLog,
    server: Server,
    cache: Path,
    tmp_path: Path,
    name: str,
    data: bytes,
    beside: tuple[str, bytes] | None,
    kept: str,
):
    (tmp_path / name).write_bytes(data)
    if beside is not None:
        (tmp_path / beside[0]).write_bytes(beside[1])
    titles = kept not in ("ordered.tsv", "lines.csv")
    assert_right(log.events(str(tmp_path / name)), titles)
    assert not cache.exists()  # reading a copy does not store it
    assert log.get(str(tmp_path / name)) == log.get() == cache / "mine" / kept
    assert_right(log.events(), titles)
    assert server.requests == 0


def test_titles_in_the_cache_are_kept(log: DownloadedLog, tmp_path: Path):
    (tmp_path / "u.data").write_bytes(U_DATA)
    assert_right(log.events(str(tmp_path / "u.data")), titles=False)
    (tmp_path / "mine.zip").write_bytes(OFFICIAL)
    log.get(str(tmp_path / "mine.zip"))
    log.get(str(tmp_path / "u.data"))
    assert_right(log.events())


def test_a_file_that_is_no_copy(log: DownloadedLog, cache: Path, tmp_path: Path):
    (tmp_path / "a.csv").write_bytes(TABLE + b"3\t1\t1\t1\n")
    with pytest.raises(FarziError, match=r"a\.csv: not a known copy of mine \(sha256 .*u\.data .*mine\.zip"):
        log.get(str(tmp_path / "a.csv"))
    (tmp_path / "wrong.zip").write_bytes(zipped(u_dot_data=U_DATA[5:], x=b""))
    with pytest.raises(FarziError, match=r"wrong\.zip: not a known copy"):
        log.events(str(tmp_path / "wrong.zip"))
    with pytest.raises(FarziError, match="no such file"):
        log.get(str(tmp_path / "nowhere"))
    assert not cache.exists()


def test_a_slip_in_recboles_titles_is_corrected():
    titles = recbole_titles(b"item_id:token\tmovie_title:token_seq\n267\tunkonwn\tunkonwn\n")
    assert titles == {"267": "unknown"}


def test_the_cache_is_where_the_system_or_the_user_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("FARZI_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("FARZI_CACHE")
    assert "farzi" in str(cache_folder())


def test_entries_are_complete():
    for name, entry in LOGS.items():
        assert entry.name == name
        assert entry.ties in ("file", "random")
        assert len(entry.sha256) == 64
        assert all("\n" not in text for text in (entry.what, entry.licence, entry.ties_because))
        if isinstance(entry.source, DownloadedLog):
            assert entry.source.url in entry.addresses
            assert entry.sha256 == entry.source.forms[0].sha256


def test_movielens_small_is_bundled_with_its_terms():
    entry = LOGS["movielens-small"]
    path = entry.source.get()
    assert sha256(path) == entry.sha256
    assert path.stat().st_size < 1_500_000
    assert "redistribute the data set" in path.with_name("README.GroupLens").read_text()
    table = pl.read_parquet(path)
    assert table.columns == ["user", "item", "title", "genres", "rating", "timestamp"]
    assert len(table) == entry.rows
    assert table.select("user", "item").equals(table.select("user", "item").sort("user", "item"))
    with pytest.raises(FarziError, match=r"data\.file does not apply"):
        entry.source.get("ratings.csv")


def test_a_damaged_package_is_reported():
    with pytest.raises(FarziError, match="install farzi again"):
        BundledLog("movielens-small", "movielens-small.parquet", "0" * 64).events()


def test_movielens_small_loads_by_default():
    dataset = load_dataset(LogData(min_item_events=1))
    facts = dataset.facts
    assert (facts["users"], facts["items"], facts["events"]) == (671, 9_066, 100_004)
    assert facts["time"] == {"from": "1995-01-09 11:46:49", "to": "2016-10-16 17:57:24", "unit": "UTC"}
    assert facts["ties"]["rule"] == "random"
    assert "sorts every such group by film id" in facts["ties"]["because"]
    assert facts["unseen"]["rule"] == "keep"
    assert len(dataset.test) == len(dataset.valid) == len(dataset.train) == 671
    assert dataset.vocabulary.label(1) == "Forrest Gump (1994)"
    assert dataset.vocabulary.frame["name"].null_count() == 1 + 5  # padding, and five films without a title
    assert json.loads(json.dumps(facts)) == facts


def test_movielens_small_leaves_rare_films_out_by_default():
    facts = load_dataset(LogData()).facts
    assert (facts["users"], facts["items"], facts["events"]) == (671, 1_303, 69_104)
    assert facts["filters"]["items_removed"] == 7_763


def test_the_order_of_the_file_would_reveal_the_next_film():
    facts = load_dataset(LogData(ties="file")).facts
    assert facts["ties"]["rising_by_id"] == 1.0
    assert facts["ties"]["because"] is None
    assert "data.ties=random" in facts["warnings"][0]
