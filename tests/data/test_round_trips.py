"""Logs written by other programs in many forms are read to exactly the same events, or refused."""

import bz2
import csv
import gzip
import io
import json
import lzma
import random
import zipfile
from contextlib import suppress

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from farzi.data.content import content_of
from farzi.data.events import read_events
from farzi.data.ids import MISSING
from farzi.errors import FarziError
from farzi.recipe.variants import LogData

letters = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff")
ids = st.text(letters | st.sampled_from(" \",;|\t:#'.0a"), min_size=1, max_size=6).filter(
    lambda text: text.strip() and text.strip() not in MISSING
)
plain_ids = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,5}", fullmatch=True).filter(
    lambda text: text not in MISSING
)
events = st.lists(st.tuples(ids, ids, st.integers(-(10**12), 10**12)), min_size=1, max_size=12)
plain_events = st.lists(st.tuples(plain_ids, plain_ids, st.integers(0, 10**10)), min_size=3, max_size=12)
lenient = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100
)


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("__MACOSX/._log.csv", b"\0\5\26\7")
        archive.writestr("folder/.DS_Store", b"\0\0\0\1")
        archive.writestr("folder/log.csv", data)
    return buffer.getvalue()


COMPRESS = (bytes, gzip.compress, lzma.compress, bz2.compress, zipped)


def expected(rows):
    """The events as text, ids without white space around them; numbers in text lose their zeros together."""
    columns = [[str(row[at]).strip() for row in rows] for at in (0, 1)]
    for column in columns:
        if all(is_whole(value) for value in column):
            column[:] = [value.partition(".")[0] for value in column]
    return list(zip(*columns, [row[2] for row in rows], strict=True))


def is_whole(text):
    digits, point, zeros = text.removeprefix("-").partition(".")
    return digits.isdigit() and digits.isascii() and (not point or (zeros != "" and set(zeros) == {"0"}))


def triples(data, name="log.csv", **options):
    return (
        read_events(content_of(data, name, name), LogData(**options))
        .frame.select("user", "item", "time")
        .rows()
    )


@lenient
@given(
    rows=events,
    separator=st.sampled_from("\t,;|"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    before=st.sampled_from(["", "\ufeff", "\n\n", "# made by a program\n", "# a, b, c\n\n"]),
    compress=st.sampled_from(COMPRESS),
    last=st.booleans(),
)
def test_what_the_csv_module_writes(rows, separator, end, quoting, before, compress, last):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n", quoting=quoting)
    writer.writerows([("user", "item", "time"), *rows])
    written = (before + text.getvalue()).replace("\n", end)
    data = compress((written if last else written.removesuffix(end)).encode())
    marked = (
        [line.lstrip().startswith("#") for line in text.getvalue().split("\n")[1:-1]] if "#" in before else []
    )
    try:
        found = triples(data)
    except FarziError:
        assert any(marked)
        return
    if marked:  # further comments, which are counted
        rows = [row for row, comment in zip(rows, marked, strict=True) if not comment]
    assert found == expected(rows)


@lenient
@given(
    rows=plain_events,
    separator=st.sampled_from(["::", " ", "   ", "\t\t", "~", "\x01", "^"]),
    header=st.booleans(),
)
def test_any_separator_and_no_header(rows, separator, header):
    lines = [("user", "item", "time")] * header + rows
    data = "\n".join(separator.join(map(str, row)) for row in lines).encode()
    found = read_events(
        content_of(data, "log.dat", allowed=separator),
        LogData(
            separator=" " if separator.isspace() and separator != "\t\t" else separator,
            columns=None if header else "user,item,time",
        ),
    ).frame
    assert found.select("user", "item", "time").rows() == expected(rows)
    assert found["row"].to_list() == list(range(1 + header, len(lines) + 1))


values = st.one_of(
    plain_ids,
    st.integers(-(2**60), 2**60),
    st.booleans(),
    st.none(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.just("id"), st.integers(), max_size=1),
    st.sampled_from([float("nan"), "\ud83d", "x\udc00", "", "  ", "NaN", "null"]),
)


@lenient
@given(st.lists(st.tuples(values, values, st.integers(0, 10**10)), min_size=1, max_size=12))
def test_json_values_are_ids_or_bad_rows(rows):
    """Against plain Python: text and numbers are ids, everything else is a bad row of its line."""

    def is_id(value):
        if isinstance(value, bool) or not isinstance(value, str | int):
            return False
        text = str(value)
        return text.strip() not in ("", *MISSING) and not any("\ud800" <= one <= "\udfff" for one in text)

    assume(any(not isinstance(row[1], list | None) for row in rows))  # else each row is a history
    good = [row for row in rows if is_id(row[0]) and is_id(row[1])]
    data = "\n".join(json.dumps(dict(zip(("user", "item", "time"), row, strict=True))) for row in rows)
    try:
        read = read_events(content_of(data.encode(), "log.jsonl", "log.jsonl"), LogData(skip_bad=True))
    except FarziError:
        assert not good
        return
    assert read.frame.select("user", "item", "time").rows() == expected(good)
    bad = [line for line, row in enumerate(rows, 1) if row not in good]
    assert [row.line for row in read.skipped if row.column in ("user", "item")] == sorted(bad)


@lenient
@given(
    rows=plain_events,
    users=st.sampled_from([pl.String, pl.Categorical]),
    compression=st.sampled_from(["zstd", "snappy", "uncompressed"]),
)
def test_what_polars_writes(rows, users, compression):
    frame = pl.DataFrame(rows, schema={"user": users, "item": pl.String, "time": pl.Int64}, orient="row")
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression=compression)
    assert triples(buffer.getvalue()) == expected(rows)
    assert triples(frame.write_ndjson().encode(), "log.jsonl") == expected(rows)
    assert triples(frame.write_csv().encode()) == expected(rows)


@lenient
@given(
    st.lists(
        st.lists(
            st.sampled_from(['"', '"a', 'a"', "b", '5" c', '""', '"x"', '"p\nq"']), min_size=2, max_size=2
        ),
        min_size=1,
        max_size=8,
    )
)
def test_no_line_is_lost_in_quotes(titles):
    """Whatever quotes the unread columns have: as many events and bad rows as lines, or a refusal."""
    lines = [f"u{n},i{n},{first},{second}" for n, (first, second) in enumerate(titles)]
    data = "\n".join(["user,item,note,title", *lines]).encode()
    count = data.count(b"\n")
    try:
        read = read_events(content_of(data, "log.csv"), LogData(skip_bad=True))
    except FarziError:
        return
    starts = read.frame["row"].to_list()
    lost = set(range(2, count + 2)) - set(starts) - {row.line for row in read.skipped}
    for line in lost:  # the rest of a field in quotes that began before: no event of its own
        assert not data.split(b"\n")[line - 1].startswith(b"u")


@lenient
@given(
    st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=6), min_size=2, max_size=6),
    st.sampled_from([" ", "\t", ",", " : "]),
)
def test_a_line_for_each_user(lines, separator):
    data = "\n".join(separator.join(map(str, line)) for line in lines).encode()
    read = read_events(
        content_of(data, "log.txt"),
        LogData(format="sequences", separator=separator if ":" in separator else None),
    )
    expected = [(str(user), str(item), n) for n, (user, *items) in enumerate(lines, 1) for item in items]
    assert read.frame.select("user", "item", "row").rows() == expected


@lenient
@given(st.data(), st.sampled_from(COMPRESS[1:]))
def test_damaged_archives_are_refused_in_one_line(data, compress):
    log = ("user,item,time\n" + "".join(f"u{n % 7},i{n % 11},{n}\n" for n in range(300))).encode()
    packed = bytearray(compress(log))
    for place in data.draw(st.lists(st.integers(0, len(packed) - 1), min_size=1, max_size=4)):
        packed[place] = data.draw(st.integers(0, 255))
    packed = packed[: data.draw(st.integers(1, len(packed)))]
    with suppress(FarziError):
        read_events(content_of(bytes(packed), "log"))


@pytest.mark.parametrize("number", range(20))
def test_times_keep_their_order(number):
    """Against exact integers: whatever the unit and the form, times are ordered and equal as written."""
    random.seed(number)
    step = random.choice([1, 10**3, 10**6, 10**9])
    moments = [1714594500 * 10**9 + step * random.randrange(10) for _ in range(30)]
    texts = {
        "ns": [str(moment) for moment in moments],
        "decimal": [f"{moment // 10**9}.{moment % 10**9:09d}" for moment in moments],
        "mixed": [f"{moment}.0" if n % 2 else str(moment) for n, moment in enumerate(moments)],
        "iso": [f"2024-05-01 20:15:{moment // 10**9 % 60:02d}.{moment % 10**9:09d}" for moment in moments],
    }
    for name, written in texts.items():
        data = "user,item,time\n" + "".join(f"a,{n},{time}\n" for n, time in enumerate(written))
        times = read_events(content_of(data.encode(), "log.csv")).frame["time"].to_list()
        base = moments if name != "iso" else [moment % (60 * 10**9) for moment in moments]
        assert [sorted(set(times)).index(time) for time in times] == [
            sorted(set(base)).index(moment) for moment in base
        ], name
