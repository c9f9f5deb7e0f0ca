"""Forms of delimited text: what is read as what, what is guessed aloud, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from farzi.data.account import readable, reading_lines
from farzi.data.content import content_of
from farzi.data.events import Events, read_events
from farzi.data.loading import load_dataset
from farzi.data.times import time_values
from farzi.errors import FarziError, FarziWarning
from farzi.recipe.variants import LogData


def read(text: str, name: str = "log.csv", **options) -> Events:
    return read_events(content_of(text.encode(), name, name), LogData(**options))


def rows(events: Events) -> list[tuple]:
    return events.frame.select("user", "item", *(["time"] if "time" in events.frame.columns else [])).rows()


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        (
            "{'user': 'a', 'item': 7, 'text': u'it\\'s \\d'}\n{'user': 'b', 'item': 2.0, 'text': None}\n",
            {},
            [("a", "7"), ("b", "2")],
        ),
        ("user::item::time\na::x::1\nb::y::2\n", {}, [("a", "x", 1), ("b", "y", 2)]),
        ("user  item time\n a x 1\nb\ty   2 \n", {}, [("a", "x", 1), ("b", "y", 2)]),
        ("sep=;\nuser;item\na;x\n", {}, [("a", "x")]),
        ("sep=\t\nuser\titem\na,b\tx\n", {}, [("a,b", "x")]),
        ('"user";"item";"a, b, c, d"\na;x;1\n', {}, [("a", "x")]),
        ("user|item|a;b;c\na|x|1\n", {}, [("a", "x")]),
        ('"user","item","re\nmark"\na,x,1\n', {}, [("a", "x")]),
        ("# made\n\nuser,item\na,x\n# 1, 2, 3\nb,y\n", {}, [("a", "x"), ("b", "y")]),
        ("#user,item,time\na,x,1\n", {}, [("a", "x", 1)]),
        ("user,item,time\n#a,x,1\n", {}, [("#a", "x", 1)]),
        ('user, item, time\n"a" , "x, y" , 1\n', {}, [("a", "x, y", 1)]),
        ("user,item,time\n\xa0a,\u3000x , 1\n", {}, [("a", "x", 1)]),
        ("a:x:1\n", {"separator": ":", "columns": "user,item,time"}, [("a", "x", 1)]),
        ("a,9,x,1\n", {"columns": "user,_,item,time"}, [("a", "x", 1)]),
        ("1 5 6\n2 7\n", {"format": "sequences"}, [("1", "5"), ("1", "6"), ("2", "7")]),
        ("user,item,day,month,year\na,x,1,4,2009\n", {}, [("a", "x", 1238544000)]),
        ("user,item,day,month,year,hour\na,x,1.0,4.0,2009.0,2\n", {}, [("a", "x", 1238551200)]),
        ("user,item,date,time\na,x,2009-04-01,02:00:00\n", {}, [("a", "x", 1238551200)]),
        ("user,item,date,time\na,x,2009-04-01,77\n", {}, [("a", "x", 77)]),
        ("user,item,time\na,x,01.04.2009\n", {"time_format": "%d.%m.%Y"}, [("a", "x", 1238544000)]),
        ("user,item,time\na,x,200904010200\n", {"time_format": "%Y%m%d%H%M"}, [("a", "x", 1238551200)]),
        ("user,item,time\na,x,2009-04-01 02\n", {"time_format": "%Y-%m-%d %H"}, [("a", "x", 1238551200)]),
        ("user,item,date_day,date_month,date_year\na,x,1,4,2009\n", {}, [("a", "x", 1238544000)]),
        ("user,item,date,time_ms\na,x,20090401,1238551200123\n", {}, [("a", "x", 1238551200123)]),
        ("user,item,rating,time\na,x,3,1\na,y,4.5,2\n", {"min_rating": 4}, [("a", "y", 2)]),
        ("user,item\na,300.0\nb,301\nc,007\n", {}, [("a", "300"), ("b", "301"), ("c", "007")]),
        ("user,item\na,300.0\nb,1.5\n", {}, [("a", "300.0"), ("b", "1.5")]),
        ("user,item\na,NA\nb,null\n", {"missing": "none"}, [("a", "NA"), ("b", "null")]),
        ("0,1,2\na,x,7\n", {"user": "0", "item": "1", "time": "2"}, [("a", "x", 7)]),
        ("x^2,y,7\n", {"columns": "user,item,time"}, [("x^2", "y", 7)]),
        ('user,item,title\na,x,"Tis\nb,y,12" mix\nc,z,"q"\n', {}, [("a", "x"), ("b", "y"), ("c", "z")]),
        ('user,item\n"a,x\n', {"quotes": False}, [('"a', "x")]),
        ("user,item,time\na,x,1\n\x1a\x1a", {}, [("a", "x", 1)]),
    ],
)
def test_what_is_read(text: str, options: dict, expected: list[tuple]):
    assert rows(read(text, **options)) == expected


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("1,2,3,881250949\n1,4,5,881250950\n", "user,item,rating,time"),
        ("u1::i1::4::100\nu1::i2::3::200\n", "user,item,rating,time"),
        ("1,2,881250949\n1,4,881250999\n", "user,item,time"),
        ("a,b,2024-05-01\na,c,2024-05-02\n", "user,item,time"),
        ("1 5\n1 6\n", "user,item"),
    ],
)
def test_a_file_without_a_header_is_read_whole_and_said(text: str, columns: str):
    events = read(text)
    assert events.frame["row"].to_list() == [1, 2]
    assert f"taken for {columns} (data.columns says otherwise" in events.reading["notes"][0]


def test_lines_of_users_and_items_are_recognised_and_said():
    events = read("1 5 6 7\n2 6\n", "log.txt")
    assert rows(events) == [("1", "5"), ("1", "6"), ("1", "7"), ("2", "6")]
    assert "data.format=events" in events.reading["notes"][0]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "1,2,5\n1,4,3\n",
            {},
            "log.csv:1: has no header, and 3 fields .*data.columns=user,item,time or user,item,r",
        ),
        (
            "u1,i1,9\nu2,i2,9\n",
            {"user": "u1", "item": "i1"},
            "log.csv:1: looks like an event.*data.columns=user",
        ),
        ("u1,i1\nu2,i2\n", {"user": "u1", "item": "i1"}, "log.csv:1: looks like an event"),
        ("4 12 8 1 9\n2 5 6\n", {}, "begins with the number of its items"),
        ("1\t2010-10-17T01:48:53Z\t39\t-97\t5\n" * 2, {}, r"data.columns=\?,time,\?,\?,\?; line 1 is '1'"),
        ("1,2,3\n", {"columns": "user,item,?"}, "say what column 3 is"),
        ("{'user': 1, 'item': f()}\n", {}, "log.csv:1: not a JSON object: write one object in each line"),
        ("{'user': {1}, 'item': 2}\n", {}, "log.csv:1: not a JSON object"),
        ("{'user': " + "[" * 10_000 + "}\n", {}, "log.csv:1: not a JSON object"),
        (
            '{"session": 1, "events": [{"aid": 5}]}\n',
            {"item": "events"},
            r"is not one item; write an event in each line, as jq -c '{session} \+ \.events\[\]' does",
        ),
        (
            '{"user": 1, "items": [5]}\n' * 1000 + '{"user": 1, "items": {"a": 5}}\n',
            {"item": "items"},
            "log.csv:1001: .* is not a list, as in other lines",
        ),
        *(
            (f"user;item;time\na;x;{written}\n", {}, rf"data\.time_format, such as {form}\)")
            for written, form in {
                "Wed Apr 06 10:10:52 -0700 2011": "'%a %b %d %H:%M:%S %z %Y'",
                "11/15/2019 9:05:58 AM": "'%m/%d/%Y %I:%M:%S %p'",
                "6/Apr/2011:10:10:52 +0200": "'%d/%b/%Y:%H:%M:%S %z'",
                "11/12/2019": "%d/%m/%Y or %m/%d/%Y",
                "15.04.2009 10:10": "'%d.%m.%Y %H:%M'",
                "April 6, 2011": "'%B %d, %Y'",
                "soon": "%d.%m.%Y",
            }.items()
        ),
        ("user,item\nNA,1\nNA,2\nc,3\n", {}, "most of this column is missing: data.user names another"),
        ("user,item\na,x\n", {"columns": "user,item"}, "log.csv:1: is a header"),
        ("a,x,5\n", {"columns": "user,item"}, "log.csv:1: has 3 fields where data.columns has 2"),
        ("# Title\n\nSome text, here.\nAnd more of it\n", {}, "is not a log of events: .* data.type=text"),
        ("user,item\na,x\nuser,item\n", {}, "log.csv:3: repeats the header"),
        ("user,item\na,x\n", {"separator": "::"}, "has no '::' in its first lines"),
        ("user,item\na,x\n", {"separator": '"'}, "data.separator must be"),
        ('{"user": 1, "item": 2}\n', {"columns": "user,item"}, "data.columns applies to delimited text"),
        (
            "user,item\na,NA\n",
            {},
            "log.csv:2: column 'item': NA stands for a missing value.*data.missing=none",
        ),
        ("user,item\na,x\n", {"time_format": "%d"}, "data.time_format has no effect"),
        ("user,item\na,x\n", {"min_rating": 3}, "no rating column recognised"),
        (
            "user,item,rating\na,x,good\n",
            {"min_rating": 3},
            "log.csv:2: column 'rating': 'good' is not a number",
        ),
        ("user,item,time\na,x,1\n\x1ab,y,2\n", {}, r"log.csv:3: is not text: .* U\+001A"),
        ("user,item,time\na,x,1\n" * 70_000 + "b,\0,2\n", {}, r"log.csv:140001: is not text: .* U\+0000"),
    ],
)
def test_what_is_refused(text: str, options: dict, message: str):
    with pytest.raises(FarziError, match=message) as caught:
        read(text, **options)
    assert "\n" not in str(caught.value)


def test_an_account_of_what_was_left_out(tmp_path: Path):
    log, names = tmp_path / "log.csv", tmp_path / "names.csv"
    lines = [f"u{user},{item},{item},5\n" for user in range(4) for item in range(4)]
    log.write_text("user,item,time,rating\n" + "".join(lines + lines[:3]))
    names.write_text("item,name\nx,Tea\n")
    with pytest.warns(FarziWarning, match="only 0 of the 4 items"):
        facts = load_dataset(LogData(source=str(log), names=str(names))).facts
    assert facts["names"] == {"given": 1, "items_with_a_name": 0, "items": 4}
    assert facts["duplicates"] == {"rule": "keep", "events": 3}
    assert facts["reading"]["not_read"] == ["rating"]
    assert any("min_rating" in hint for hint in facts["reading"]["hints"])
    assert load_dataset(LogData(source=str(log), duplicates="drop")).facts["events"] == 16
    columns, sizes, held_out = reading_lines(facts)
    assert "user = user, item = item, time = time; not read: rating" in columns
    assert "3 events repeat another's user, item and time" in sizes
    assert held_out.startswith("held out: 4 events for validation, 4 for the test; ")
    assert json.loads(json.dumps(facts)) == facts
    assert readable(facts)["first_user"] == "u0: 0 (0), 0 (0), 1 (1), 1 (1), 2 (2), and 2 more"


@pytest.mark.parametrize(
    ("times", "note"),
    [
        (["1714594500", "1714594600123", "1714594700"], "seconds and milliseconds seem mixed"),
        (["0", "1714594600", "1714594700"], "unknown time"),
        (["9999-12-31", "2024-05-01", "2024-05-02"], "outside the years"),
        (["202405012015", "202406012015", "202407012015"], "data.time_format=%Y%m%d%H%M"),
    ],
)
def test_times_that_look_wrong_are_warned_of(tmp_path: Path, times: list[str], note: str):
    log = tmp_path / "log.csv"
    log.write_text("user,item,time\n" + "".join(f"{user},x,{time}\n" for user in "ab" for time in times))
    assert any(note in warning for warning in load_dataset(LogData(source=str(log))).facts["warnings"])


def test_columns_that_are_not_read_may_have_other_bytes():
    content = content_of("user,item,place\na,x,Café\nb,y,Bar\n".encode("latin-1"), "log.csv")
    assert rows(read_events(content)) == [("a", "x"), ("b", "y")]


def test_columns_that_were_not_recognised_are_named():
    hints = " ".join(read("user,item,added_date,event_type\na,x,1,view\n").reading["hints"])
    assert "added_date may be times" in hints
    assert "event_type is not read: rows of every kind are events" in hints


def test_other_containers_are_named():
    tar = bytes(257) + b"ustar" + bytes(250)
    for data, message in ((tar, "tar archive"), (b"\xd0\xcf\x11\xe0" + bytes(9), "Excel")):
        with pytest.raises(FarziError, match=message):
            content_of(data, "log")


def test_python_dicts_are_read_and_said():
    events = read("{'user': 'a', 'item': 7}\n{'user': 'b', 'item': True}\n", skip_bad=True)
    assert rows(events) == [("a", "7")]
    assert events.reading["form"] == "Python dicts, one in a line"
    assert "True is not one item" in str(events.skipped[0]).replace("'", "")


def test_times_show_no_more_digits_than_a_float_has():
    shown = time_values(np.array([1300000000.246, 1300000000.9999999, 1300000002.0]), 1)
    assert shown == ["2011-03-13 07:06:40.246", "2011-03-13 07:06:41", "2011-03-13 07:06:42"]
    assert time_values(np.array([1300000000246.5]), 1000) == ["2011-03-13 07:06:40.2465"]
