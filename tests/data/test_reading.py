"""Every format there and back, guessed columns, times."""

import bz2
import csv
import gzip
import io
import json
import lzma
import zipfile
from datetime import UTC, date, datetime

import polars as pl
import pytest

from farzi.data.events import read_events, read_names
from farzi.errors import FarziError
from farzi.recipe.variants import LogData

ROWS = [
    ("007", "a,b", 20),
    ('x"y', "b;c\td|e", 10),
    ("ü ber", "'", 30),
    ("007", "na", 10),
]


def delimited(delimiter, rows=ROWS, header=("user_id", "item_id", "timestamp")):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()


def read(tmp_path, name, data, **options):
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_events(path, LogData(**options))


def triples(events):
    return events.frame.select("user", "item", "time").rows()


@pytest.mark.parametrize(
    ("name", "delimiter"),
    [("a.csv", ","), ("a.tsv", "\t"), ("a.csv", ";"), ("a.txt", "|"), ("nameless", ",")],
)
def test_delimited_text(tmp_path, name, delimiter):
    events = read(tmp_path, name, delimited(delimiter))
    assert triples(events) == ROWS
    assert events.frame["row"].to_list() == [2, 3, 4, 5]
    assert [str(column.dtype.base_type()) for column in events.frame] == ["Enum", "Enum", "Int64", "UInt32"]
    assert events.source == str(tmp_path / name)
    assert (len(events), events.skipped) == (4, ())


def test_json_lines(tmp_path):
    lines = [json.dumps({"user": u, "asin": i, "unixReviewTime": t, "text": {"x": [1]}}) for u, i, t in ROWS]
    lines.insert(2, "")
    events = read(tmp_path, "a.jsonl", "\n".join(lines))
    assert triples(events) == ROWS
    assert events.frame["row"].to_list() == [1, 2, 4, 5]
    events = read(tmp_path, "nameless", '{"user":1,"item":2,"ts":3.5}\n{"item":"x","user":1e3,"ts":"4"}\n')
    assert triples(events) == [("1", "2", 3.5), ("1e3", "x", 4.0)]


def test_parquet(tmp_path):
    users, items, times = zip(*ROWS)
    frame = pl.DataFrame({"item": items, "extra": [1, 2, 3, 4], "time": times, "user": users})
    frame.write_parquet(tmp_path / "a.parquet")
    events = read_events(tmp_path / "a.parquet")
    assert triples(events) == ROWS
    assert events.frame["row"].to_list() == [1, 2, 3, 4]
    frame.with_columns(pl.col("time").cast(pl.Datetime("ms", "Europe/Berlin"))).write_parquet(
        tmp_path / "a.parquet"
    )
    events = read_events(tmp_path / "a.parquet")
    assert (events.frame["time"].to_list(), events.ticks) == ([20, 10, 30, 10], 1000)
    frame = pl.DataFrame({"user": [1, 2], "item": [3, 4], "date": [date(1970, 1, 2), date(1969, 12, 31)]})
    frame.write_parquet(tmp_path / "a.parquet")
    assert triples(read_events(tmp_path / "a.parquet")) == [("1", "3", 86_400), ("2", "4", -86_400)]


def test_recbole_atomic_file(tmp_path):
    header = "rating:float\tuser_id:token\titem_id:token\ttimestamp:float\n"
    events = read(tmp_path, "a.inter", header + '4.5\t7\t"quoted\t881250949\n3\t8\t5" x\t881250950.5\n')
    assert triples(events) == [("7", '"quoted', 881250949.0), ("8", '5" x', 881250950.5)]


def zipped(data, *names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, data)
    return buffer.getvalue()


def zstd(data):
    """One zstd frame of one block that is stored as it is (RFC 8878); Python has no zstd before 3.14."""
    block = (len(data) << 3 | 1).to_bytes(3, "little") + data
    return b"\x28\xb5\x2f\xfd\xa0" + len(data).to_bytes(4, "little") + block


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".gz", gzip.compress),
        (".xz", lzma.compress),
        (".zst", zstd),
        (".bz2", bz2.compress),
        (".zip", lambda data: zipped(data, "folder/a.csv")),
        ("", gzip.compress),  # recognised by content
        ("", zstd),
    ],
)
def test_compressed(tmp_path, suffix, compress):
    assert triples(read(tmp_path, "a.csv" + suffix, compress(delimited(",")))) == ROWS
    lines = "\n".join(json.dumps({"user": u, "item": i, "time": t}) for u, i, t in ROWS)
    assert triples(read(tmp_path, "a.json" + suffix, compress(lines.encode()))) == ROWS


def test_zstd_that_cannot_be_read_is_refused(tmp_path):
    cut = zstd(delimited(","))[:-9]
    with pytest.raises(FarziError, match=r"a\.csv\.zst: the compressed file is damaged"):
        read(tmp_path, "a.csv.zst", cut)
    latin = zstd("user,item\na,caf\xe9\nb,tea\n".encode("latin-1"))
    with pytest.raises(FarziError, match=r"a\.csv\.zst:2: column 'item': not UTF-8 text"):
        read(tmp_path, "a.csv.zst", latin)
    assert len(read(tmp_path, "a.csv.zst", latin, skip_bad=True)) == 1


@pytest.mark.parametrize(
    "header",
    [
        ("user_id", "item_id", "timestamp"),
        ("userId", "movieId", "timestamp"),
        ("USER", "Item", "Time"),
        ("reviewerID", "asin", "unixReviewTime"),
        ("Customer ID", "StockCode", "InvoiceDate"),
        ("session-id", "product_id", "date"),
        ("uid", "sku", "ts"),
        ("user", "track", "order"),
        ("user_id:token", "item_id:token", "timestamp:float"),
    ],
)
def test_columns_are_guessed_from_their_names(tmp_path, header):
    rows = [("a", "b", 1), ("c", "d", 2)]
    assert triples(read(tmp_path, "a.csv", delimited(",", rows, header))) == rows


def test_the_likelier_name_wins_and_a_given_one_wins_over_it(tmp_path):
    data = "session_id,user_id,title,asin,item_id,date,timestamp\ns,u,t,a,i,1,2\n"
    assert triples(read(tmp_path, "a.csv", data)) == [("u", "i", 2)]
    events = read(tmp_path, "a.csv", data, user="session_id", item="asin", time="date")
    assert triples(events) == [("s", "a", 1)]
    assert triples(read(tmp_path, "a.csv", data, user="title")) == [("t", "i", 2)]


def test_a_log_without_times_is_in_the_order_of_its_file(tmp_path):
    events = read(tmp_path, "a.csv", "user,item\na,x\nb,y\n")
    assert events.frame.columns == ["user", "item", "row"]


def test_line_ends_byte_order_mark_and_blank_lines(tmp_path):
    for text in (
        "user,item\n\na,x\n\n\nb,y",
        "user,item\r\n\r\na,x\r\n\r\n\r\nb,y\r\n",
        'user,item\n\n"a",x\n\n\nb,y\n',
    ):
        events = read(tmp_path, "a.csv", "\ufeff" + text)
        assert events.frame.rows() == [("a", "x", 3), ("b", "y", 6)]
    assert read(tmp_path, "a.csv", "user,item\ra,x\rb,y\r").frame.rows() == [("a", "x", 2), ("b", "y", 3)]


def test_lines_are_counted_across_quoted_line_ends(tmp_path):
    events = read(tmp_path, "a.csv", 'user,item\n"a\nb\nc",x\n\nd,"y\nz"\ne,5" pipe\n')
    assert events.frame.rows() == [("a\nb\nc", "x", 2), ("d", "y\nz", 6), ("e", '5" pipe', 8)]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("881250949", 881250949),
        ("-5", -5),
        ("1.5e3", 1500),
        ("0.25", 0.25),
        ("9007199254740993", 9007199254740993),
        ("1700000000123456789", 1700000000123456789),
        ("2016-10-16", datetime(2016, 10, 16, tzinfo=UTC).timestamp()),
        ("2016-10-16 17:57", datetime(2016, 10, 16, 17, 57, tzinfo=UTC).timestamp()),
        ("2016-10-16 17:57:24", datetime(2016, 10, 16, 17, 57, 24, tzinfo=UTC).timestamp()),
        ("2016-10-16T17:57:24Z", datetime(2016, 10, 16, 17, 57, 24, tzinfo=UTC).timestamp()),
        ("2016-10-16T17:57:24.5+02:00", datetime(2016, 10, 16, 15, 57, 24, tzinfo=UTC).timestamp() + 0.5),
        ("2016-10-16 17:57:24-0530", datetime(2016, 10, 16, 23, 27, 24, tzinfo=UTC).timestamp()),
        ("1790-01-08", datetime(1790, 1, 8, tzinfo=UTC).timestamp()),
    ],
)
def test_times(tmp_path, written, seconds):
    for name, data in {
        "a.csv": f"user,item,time\na,b,{written}\n",
        "a.jsonl": json.dumps({"user": "a", "item": "b", "time": written}),
    }.items():
        events = read(tmp_path, name, data)
        assert events.frame["time"].to_list() == [seconds * events.ticks]
        assert events.dated == ("-" in written[1:])


def test_names(tmp_path):
    path = tmp_path / "movies.csv"
    path.write_text('movieId,title,genres\n1,"Postino, Il",x\n2,,y\n,nobody,z\n1,again,z\n3, Heat ,z\n')
    assert read_names(path).rows() == [("1", "Postino, Il"), ("3", "Heat")]
    path = tmp_path / "ml.item"
    path.write_text('item_id:token\tmovie_title:token_seq\tclass:token_seq\n1\t"Toy" Story\tx\n')
    assert read_names(path).rows() == [("1", '"Toy" Story')]
    pl.DataFrame({"name": ["Heat"], "id": [6]}).write_parquet(tmp_path / "a.parquet")
    assert read_names(tmp_path / "a.parquet").rows() == [("6", "Heat")]


def test_names_need_two_columns(tmp_path):
    path = tmp_path / "movies.csv"
    path.write_text("movieId,year\n1,1995\n")
    with pytest.raises(
        FarziError, match=r"movies.csv: no name column recognised.*\(the columns are movieId, year\)"
    ):
        read_names(path)
    path.write_text("movieId,title\n1,2,3\n")
    with pytest.raises(FarziError, match=r"movies.csv:2: 3 fields where the header has 2 \(1 bad row in all"):
        read_names(path)


def test_a_folder_of_parquet_files(tmp_path):
    folder = tmp_path / "log"
    for number, rows in enumerate((ROWS[:3], ROWS[3:])):
        part = folder / f"day={number}" / f"part-{number}.parquet"
        part.parent.mkdir(parents=True)
        pl.DataFrame(rows, ["user", "item", "time"], orient="row").write_parquet(part)
    (folder / "_SUCCESS").touch()
    events = read_events(folder)
    assert triples(events) == ROWS
    assert events.frame["row"].to_list() == [1, 2, 3, 4]
    pl.DataFrame({"other": [1]}).write_parquet(folder / "z.parquet")
    with pytest.raises(FarziError, match="differ in their columns"):
        read_events(folder)
