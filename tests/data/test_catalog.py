"""The named data sets; the ways of fetching one are tried with fakes, never over the network."""

import hashlib
import io
import json
import lzma
import sys
import zipfile
from dataclasses import dataclass, field

import polars as pl
import pytest

from farzi.data import LOGS, load_dataset
from farzi.data.fetching import cache_folder, download, download_wheel
from farzi.data.movielens import EVENTS_HEADER, MovieLens100k, titles
from farzi.data.origins import Carried
from farzi.errors import FarziError
from farzi.files import sha256
from farzi.recipe import DataSettings

U_DATA = b"196\t242\t3\t881250949\n186\t302\t3\t891717742\n22\t377\t1\t878887116\n"
U_ITEM = "242|Kolya (1996)|24-Jan-1997||http://x|0|1\n302|Misérables, Les (1995)|01||http://y|0|1\n".encode(
    "latin-1"
)
ITEM = (
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "242\tKolya\t1996\tComedy\n302\tMisérables, Les\t1995\tDrama\n"
).encode()
INTER = EVENTS_HEADER + U_DATA


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    return buffer.getvalue()


OFFICIAL = zipped(**{"ml-100k__u_dot_data": U_DATA, "ml-100k__u_dot_item": U_ITEM, "ml-100k__README": b""})
WHEEL = zipped(
    **{"recbole__ml-100k__ml-100k_dot_inter": INTER, "recbole__ml-100k__ml-100k_dot_item": ITEM, "x__y": b""}
)


class Fake:
    """Answers like an address or a package index, and counts how often it was asked."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def __call__(self, what):
        self.asked.append(what)
        if self.answer is None:
            raise FarziError(f"{what}: is down")
        return self.answer


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("FARZI_CACHE", str(folder))
    return folder


@dataclass(frozen=True)
class Watched(MovieLens100k):
    """With the two fakes in sight."""

    official: Fake = field(default_factory=lambda: Fake(None))
    index: Fake = field(default_factory=lambda: Fake(None))


def origin(official, wheel):
    one, two = Fake(official), Fake(wheel)
    return Watched(
        sha256=hashlib.sha256(INTER).hexdigest(),
        url="https://official/ml-100k.zip",
        wheel="recbole==1.2.1",
        download=one,
        download_wheel=two,
        official=one,
        index=two,
    )


def assert_right(events):
    assert events.frame.rows() == [
        ("196", "242", 881250949.0, 2),
        ("186", "302", 891717742.0, 3),
        ("22", "377", 878887116.0, 4),
    ]
    assert events.names.rows() == [("242", "Kolya (1996)"), ("302", "Misérables, Les (1995)")]


def test_the_official_address_is_asked_first_and_only_once(cache):
    way = origin(OFFICIAL, WHEEL)
    assert way.get() == cache / "ml-100k" / "ml-100k.inter"
    assert way.get().read_bytes() == INTER
    assert_right(way.events())
    assert way.official.asked == ["https://official/ml-100k.zip"]
    assert way.index.asked == []
    assert [path.name for path in cache.iterdir()] == ["ml-100k"]


@pytest.mark.parametrize(
    "official", [None, b"<html>no zip</html>", zipped(u_dot_data=U_DATA[:-1] + b"0\n"), zipped(a=b"")]
)
def test_the_wheel_gives_the_same_bytes_when_the_address_does_not(cache, official):
    way = origin(official, WHEEL)
    one = {path.name: path.read_bytes() for path in way.get().parent.iterdir()}
    assert_right(way.events())
    assert way.index.asked == ["recbole==1.2.1"]
    (cache / "ml-100k" / "ml-100k.inter").unlink()
    two = {path.name: path.read_bytes() for path in origin(OFFICIAL, None).get().parent.iterdir()}
    assert one == two


def test_neither_way_is_one_line_that_names_both(cache):
    with pytest.raises(FarziError) as caught:
        origin(None, None).get()
    assert str(caught.value) == (
        "ml-100k cannot be had (https://official/ml-100k.zip: is down; recbole==1.2.1: is down); "
        "give a copy at hand with --from FILE"
    )
    assert not cache.exists()


def test_wrong_events_are_refused_and_not_kept(cache):
    wrong = U_DATA.replace(b"242", b"243")
    with pytest.raises(
        FarziError, match=r"official.*not the events of ml-100k \(sha256 .*recbole.*not the events"
    ):
        origin(zipped(u_dot_data=wrong), zipped(**{"ml-100k_dot_inter": EVENTS_HEADER + wrong})).get()
    assert not cache.exists()


def test_a_damaged_copy_in_the_cache_is_fetched_again(cache):
    way = origin(OFFICIAL, None)
    way.get().write_bytes(INTER[:-5])
    assert_right(way.events())
    assert len(way.official.asked) == 2


def test_a_cache_that_cannot_be_written_is_told(cache):
    cache.write_bytes(b"a file is in the way")
    with pytest.raises(FarziError, match=r"cannot be written.*FARZI_CACHE names another place"):
        origin(OFFICIAL, None).get()


@pytest.mark.parametrize(
    ("name", "data", "beside"),
    [
        ("ml-100k.inter", INTER, ("ml-100k.item", ITEM)),
        ("ml-100k.inter.xz", lzma.compress(INTER), ("ml-100k.item", ITEM)),
        ("u.data", U_DATA, ("u.item", U_ITEM)),
        ("u.data", U_DATA.replace(b"\n", b"\r\n"), ("u.item", U_ITEM)),
        ("ml-100k.zip", OFFICIAL, None),
        ("recbole-1.2.1-py3-none-any.whl", WHEEL, None),
    ],
)
def test_a_copy_at_hand(cache, tmp_path, name, data, beside):
    (tmp_path / name).write_bytes(data)
    if beside:
        (tmp_path / beside[0]).write_bytes(beside[1])
    way = origin(None, None)
    assert_right(way.events(str(tmp_path / name)))
    assert not cache.exists()  # reading a copy keeps nothing
    assert way.get(str(tmp_path / name)).read_bytes() == INTER
    assert_right(way.events())
    assert way.official.asked == []


def test_a_copy_without_titles(cache, tmp_path):
    (tmp_path / "u.data").write_bytes(U_DATA)
    way = origin(OFFICIAL, None)
    assert way.events(str(tmp_path / "u.data")).names is None
    way.get()
    way.get(str(tmp_path / "u.data"))
    assert_right(way.events())  # the titles that were there are not lost


def test_a_file_that_is_no_copy(cache, tmp_path):
    way = origin(OFFICIAL, WHEEL)
    (tmp_path / "u.data").write_bytes(U_DATA[5:])
    with pytest.raises(FarziError, match=r"u\.data: not the events of ml-100k"):
        way.events(str(tmp_path / "u.data"))
    with pytest.raises(FarziError, match="no such file"):
        way.get(str(tmp_path / "v.data"))
    assert not cache.exists()


def test_titles_know_the_slip_in_the_wheel():
    assert (
        titles(b"item_id:token\tmovie_title:token_seq\n267\tunkonwn\tunkonwn\n").splitlines()[1]
        == b"267\tunknown"
    )


def test_the_cache_is_where_the_system_or_the_user_wants_it(monkeypatch, tmp_path):
    monkeypatch.setenv("FARZI_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("FARZI_CACHE")
    assert "farzi" in str(cache_folder())


def test_download_reads_an_address_and_says_why_it_cannot(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert download((tmp_path / "a").as_uri()) == b"abc"
    with pytest.raises(FarziError, match=r"^file:.*No such file"):
        download((tmp_path / "b").as_uri())


def test_download_wheel_says_why_pip_failed(monkeypatch, tmp_path):
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(FarziError, match=r"^PyPI wheel recbole==1\.2\.1: No module named pip$"):
        download_wheel("recbole==1.2.1")
    fake.write_text(
        "#!/bin/sh\n"
        'while [ $# -gt 1 ]; do [ "$1" = --dest ] && folder=$2; shift; done\n'
        'echo "$1" > "$folder/a.whl"\n'
    )
    assert download_wheel("recbole==1.2.1") == b"recbole==1.2.1\n"


def test_entries_are_complete():
    for name, entry in LOGS.items():
        assert entry.name == name
        assert entry.ties in ("file", "random")
        assert entry.sha256 is None or len(entry.sha256) == 64
        assert all("\n" not in text for text in (entry.what, entry.licence, entry.ties_because))


def test_movielens_small_is_carried_with_its_terms():
    entry = LOGS["movielens-small"]
    path = entry.get()
    assert sha256(path) == entry.sha256
    assert path.stat().st_size < 1_500_000
    assert "redistribute the data set" in path.with_name("README.GroupLens").read_text()
    table = pl.read_parquet(path)
    assert table.columns == ["user", "item", "title", "genres", "rating", "timestamp"]
    assert len(table) == entry.rows
    assert table.select("user", "item").equals(table.select("user", "item").sort("user", "item"))
    with pytest.raises(FarziError, match="takes no --from"):
        entry.get("ratings.csv")


def test_a_damaged_package_is_told():
    with pytest.raises(FarziError, match="install farzi again"):
        Carried("movielens-small", sha256="0" * 64).events()


def test_movielens_small_loads_by_default():
    dataset = load_dataset(DataSettings(min_item_events=1))
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
    facts = load_dataset(DataSettings()).facts
    assert (facts["users"], facts["items"], facts["events"]) == (671, 1_303, 69_104)
    assert facts["filters"]["items_removed"] == 7_763


def test_the_files_order_would_give_the_next_film_away():
    facts = load_dataset(DataSettings(ties="file")).facts
    assert facts["ties"]["rising_by_id"] == 1.0
    assert facts["ties"]["because"] is None
    assert "consider --ties random" in facts["order"]
