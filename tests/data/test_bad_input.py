"""Every mistake in a file is one clear line that says where it is and what to do."""

import gzip
import io
import json
import zipfile

import polars as pl
import pytest

from farzi.data import load_dataset, read_events
from farzi.data.tables import BadRow
from farzi.errors import FarziError
from farzi.recipe.variants import LogData

HEADER = "user,item,time\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file in the current folder, so that messages name it by its bare name."""
    monkeypatch.chdir(tmp_path)

    def write(name, data):
        (tmp_path / name).write_bytes(data.encode() if isinstance(data, str) else data)
        return name

    return write


def refusal(path, **options):
    with pytest.raises(FarziError) as caught:
        read_events(path, LogData(**options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


RECODE = "save it as UTF-8, or name its encoding, as in data.encoding=latin-1"
HINT = "data.skip_bad)"
OTHERS = "others: data.time_format, such as %d.%m.%Y"
TIME = f" is not a time (a number, or a date such as 2016-10-16 17:57:24; {OTHERS})"
AS_TEXT = "; data.quotes=false reads quotes as text"
AFTER = f"quotes that do not match (text follows the quote that ends a field){AS_TEXT}"
OPEN = f"quotes that do not match (a quote that begins a field has no end){AS_TEXT}"


@pytest.mark.parametrize(
    ("rows", "message", "bad"),
    [
        (
            "a,x,1\n,y,2\nb,,3\n",
            "log.csv:3: column 'user': no value (2 bad rows in all",
            [BadRow(3, "user", None, "no value"), BadRow(4, "item", None, "no value")],
        ),
        (
            "a,x,1\nb,y,\n",
            "log.csv:3: column 'time': no value (1 bad row in all",
            [BadRow(3, "time", None, "no value")],
        ),
        (
            "a,x,1\n\nb,y,yesterday\nc,z,nan\n",
            "log.csv:4: column 'time': 'yesterday'" + TIME + " (2 bad rows in all",
            [
                BadRow(4, "time", "yesterday", "'yesterday'" + TIME),
                BadRow(5, "time", "nan", "'nan'" + TIME),
            ],
        ),
        (
            "a,x,2016-10-16\nb,y,1476576000\nc,z,2016-13-01\nd,z,2016-10-16 25:00\ne,z,2016-10-16\n",
            "log.csv:3: column 'time': '1476576000'" + TIME + " (3 bad rows in all",
            [
                BadRow(3, "time", "1476576000", "'1476576000'" + TIME),
                BadRow(4, "time", "2016-13-01", "'2016-13-01'" + TIME),
                BadRow(5, "time", "2016-10-16 25:00", "'2016-10-16 25:00'" + TIME),
            ],
        ),
        (
            "a,x,1\nb,y\nc,z,3,4\n",
            "log.csv:3: 2 fields where the header has 3 (2 bad rows in all",
            [
                BadRow(3, None, None, "2 fields where the header has 3"),
                BadRow(4, None, None, "4 fields where the header has 3"),
            ],
        ),
        (
            '"a\n1",x,1\nb,"y\nz"\nc,z,z\n',
            "log.csv:4: 2 fields where the header has 3 (2 bad rows in all",
            [BadRow(4, None, None, "2 fields where the header has 3"), BadRow(6, "time", "z", "'z'" + TIME)],
        ),
        (
            'a,x,1\n"b"c,y,2\nc,z,3\n',
            "log.csv:3: quotes that do not match (text follows the quote that ends a field)" + AS_TEXT,
            [BadRow(3, None, None, AFTER)],
        ),
        (
            'a,x,1\n"b,y,2\nc,z,3\n',
            "log.csv:3: quotes that do not match (a quote that begins a field has no end); data.quotes=false",
            [BadRow(3, None, None, OPEN)],
        ),
        (
            "a,x,1\nb,é,2\n".encode("latin-1"),
            f"log.csv:3: column 'item': not UTF-8 text ('é' if it is Latin-1); {RECODE} (1 bad row in all",
            [BadRow(3, "item", "é", f"not UTF-8 text ('é' if it is Latin-1); {RECODE}")],
        ),
    ],
)
def test_bad_rows(write, rows, message, bad):
    rows = rows.encode() if isinstance(rows, str) else rows
    path = write("log.csv", HEADER.encode() + rows)
    line = refusal(path)
    assert line.startswith(message)
    assert line.endswith(HINT)
    events = read_events(path, LogData(skip_bad=True))
    assert list(events.skipped) == bad
    assert not set(events.frame["row"]) & {row.line for row in bad}
    assert len(events) >= 1


def test_bad_rows_of_json_lines(write):
    lines = [
        b'{"user": 1, "item": 2, "time": 3}',
        b'{"user": 1, "item": 2',
        b"",
        b"[1]",
        b'{"user": 1, "time": 3}',
        b'{"user": "\xe9", "item": 2, "time": 3}',
    ]
    path = write("log.jsonl", b"\n".join(lines))
    assert refusal(path).startswith("log.jsonl:2: not a JSON object")
    assert "4 bad rows" in refusal(path)
    skipped = read_events(path, LogData(skip_bad=True)).skipped
    assert [(row.line, row.column) for row in skipped] == [(2, None), (4, None), (5, "item"), (6, None)]
    assert str(skipped[2]) == "line 5: column 'item': no value"
    path = write("log.json", json.dumps([{"user": 1, "item": 2}]))
    assert refusal(path) == "log.json: is one JSON array; write one object per line (jq -c '.[]')"
    path = write("log.json", "no json at all\n")
    assert refusal(path).startswith("log.json:1: not a JSON object")


def test_bad_rows_of_parquet(write):
    frame = pl.DataFrame({"user": ["a", None, "b"], "item": ["x", "y", ""], "time": [1.0, 2.0, float("nan")]})
    frame.write_parquet("log.parquet")
    assert refusal("log.parquet").startswith("log.parquet, row 2: column 'user': no value (2 bad rows in all")
    assert (
        str(read_events("log.parquet", LogData(skip_bad=True)).skipped[0]) == "row 2: column 'user': no value"
    )
    assert len(read_events("log.parquet", LogData(skip_bad=True))) == 1
    frame.with_columns(pl.Series("user", [[1], [2], [3]])).write_parquet("log.parquet")
    assert refusal("log.parquet") == "log.parquet: column 'user' holds List(Int64), not one user per row"
    path = write("cut.parquet", (b"PAR1" + b"\0" * 100))
    assert refusal(path) == "cut.parquet: is not a Parquet file, or a damaged one"


def test_no_row_left(write):
    path = write("log.csv", HEADER + "a,b\n")
    message = "log.csv: none of its 1 rows can be read; the first: line 2: 2 fields where the header has 3"
    assert refusal(path, skip_bad=True) == message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "log.csv: the file is empty"),
        (" \n\n", "log.csv: the file is empty"),
        (gzip.compress(b""), "log.csv: the file is empty"),
        (HEADER, "log.csv: has a header but no rows"),
        (HEADER + "\n\n", "log.csv: has a header but no rows"),
        (
            "196\t242\t3\t8812\t5\n186\t302\t3\t8917\t6\n",
            "log.csv:1: has no header, and 5 fields separated by tab; name the columns in their order (user, "
            "item, time, rating, _ for others): data.columns=?,?,?,?,?; "
            "line 1 is '196', '242', '3', '8812', '5'",
        ),
        (
            "user,what,time\na,b,1\n",
            "log.csv: no item column recognised by its name; give its name as data.item "
            "(the columns are user, what, time)",
        ),
        (
            "user,item,user\na,b,1\n",
            "log.csv: the column 'user' is there twice; the columns are user, item, user",
        ),
        (
            '"user,item\na,b\n',
            "log.csv: no user column recognised by its name; give its name as data.user "
            '(the columns are "user, item); a text is read with data.type=text',
        ),
        (
            "usér,item\na,b\n".encode("latin-1"),
            f"log.csv:1: is not UTF-8 text; {RECODE}",
        ),
        (
            "user,item\na,b\n".encode("utf-16"),
            "log.csv: is UTF-16; save it as UTF-8, or give data.encoding=utf-16",
        ),
        (
            bytes(range(256)),
            "log.csv:1: is not text: it has the control character U+0000; "
            "remove it, or save the file as text",
        ),
        (
            gzip.compress(b"user,item\na,b\n")[:-9],
            "log.csv: the compressed file is damaged "
            "(Compressed file ended before the end-of-stream marker was reached)",
        ),
    ],
)
def test_files_that_are_no_logs(write, data, message):
    assert refusal(write("log.csv", data)) == message


@pytest.mark.parametrize("role", ["user", "item", "time"])
def test_a_given_column_must_be_there(write, role):
    path = write("log.csv", HEADER + "a,b,1\n")
    assert refusal(path, **{role: "when"}) == "log.csv: no column 'when'; the columns are user, item, time"


def test_zips(write):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.csv", "x")
        archive.writestr("b.csv", "x")
    message = "log.zip: a zip of 2 files (a.csv, b.csv); unpack it and give the file of events"
    assert refusal(write("log.zip", buffer.getvalue())) == message
    assert refusal(write("log.zip", buffer.getvalue()[:60])).startswith(
        "log.zip: the compressed file is damaged"
    )


def test_files_that_are_not_there(write, tmp_path):
    write("ratings.csv", HEADER)
    assert refusal("rating.csv") == "rating.csv: no such file; did you mean ratings.csv?"
    with pytest.raises(FarziError, match=r"^ml-10k: no such file; did you mean ml-100k or ml-1m\?$"):
        load_dataset(LogData(source="ml-10k"))
    with pytest.raises(FarziError, match=r"^zzz: no such file; named data sets: movielens-small, ml-100k, "):
        load_dataset(LogData(source="zzz"))
    assert refusal("nowhere/zzz") == "nowhere/zzz: no such file"
    assert refusal(".") == ".: is a folder without Parquet files; give a file of events"


def test_long_values_and_headers_are_cut_short(write):
    path = write("log.csv", HEADER + "a,b," + "y" * 5_000 + "\n")
    assert len(refusal(path)) < 300
    path = write("log.csv", ",".join(f"column{n:030}" for n in range(5_000)) + "\n1,2\n")
    assert len(refusal(path)) < 600


def test_one_user(write):
    path = write("log.csv", HEADER + "a,x,1\na,y,2\na,z,3\n")
    with pytest.raises(FarziError, match=r"^log\.csv: has events of one user only"):
        load_dataset(LogData(source=path))
    path = write("log.csv", HEADER + "a,x,1\na,y,2\na,z,3\nb,x,1\n")
    with pytest.raises(FarziError, match=r"log\.csv: fewer than 2 of its 2 users remain .*min_user_events"):
        load_dataset(LogData(source=path))


def test_ids_of_parquet_are_whole_where_they_can_be(write):
    """A column of ids with a gap is one of floats in many programs: 7.0 is the id 7."""
    users = [7.0, None, 1.5, float("nan"), 1e20]
    pl.DataFrame({"user": users, "item": range(5)}).write_parquet("log.parquet")
    events = read_events("log.parquet", LogData(skip_bad=True))
    assert events.frame["user"].to_list() == ["7", "1.5"]
    rounded = "1e+20 is rounded: save ids as text or whole numbers"
    assert [(row.line, row.reason) for row in events.skipped] == [
        (2, "no value"),
        (4, "no value"),
        (5, rounded),
    ]


def test_nothing_is_written(write, tmp_path):
    path = write("log.csv", HEADER + "a,x,soon\n")
    refusal(path)
    assert [file.name for file in tmp_path.iterdir()] == ["log.csv"]
