"""Rows that are events by the value of a column: the same ones in every form of a log; other encodings."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farzi import load_log, load_text
from farzi.data import load_dataset, read_events, read_frame
from farzi.data.account import readable, reading_lines
from farzi.data.content import content_of
from farzi.data.events import Events
from farzi.errors import FarziError
from farzi.recipe import Recipe
from farzi.recipe.changes import parse_change
from farzi.recipe.variants import LogData

pandas: Any = pytest.importorskip("pandas")

ROWS = [
    ("a", "x", 1, "view", 4),
    ("a", None, 2, "search", None),
    ("b", "y", 3, "buy", 5),
    ("b", "z", 4, "cart", 5),
    ("a", "y", 5, None, 1),
    ("a", "z", 6, "buy", 4),
]
NAMES = ["user", "item", "time", "event", "level"]
FRAME = pl.DataFrame(ROWS, NAMES, orient="row")


def as_csv(quote: str = "") -> bytes:
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in ROWS]
    return "\n".join([",".join(NAMES), f"{quote}a{quote},x,0,other,9", *lines]).encode()


def as_parquet() -> bytes:
    file = io.BytesIO()
    FRAME.write_parquet(file)
    return file.getvalue()


def of_file(data: bytes, name: str = "log.csv") -> Any:
    return lambda settings: read_events(content_of(data, name, name), settings)


FORMS = {
    "a text cut as a whole": of_file(as_csv()),
    "a text cut line by line": of_file(as_csv('"')),
    "several bytes between fields": of_file(as_csv().replace(b",", b"::")),
    "JSON lines": of_file(
        "\n".join(json.dumps(dict(zip(NAMES, row, strict=True))) for row in ROWS).encode(), "log.jsonl"
    ),
    "Parquet": of_file(as_parquet(), "log.parquet"),
    "polars": lambda settings: read_frame(FRAME, settings),
    "pandas": lambda settings: read_frame(FRAME.to_pandas(), settings),
    "pandas with objects": lambda settings: read_frame(FRAME.to_pandas().astype(object), settings),
}
of_every_form = pytest.mark.parametrize("read", FORMS.values(), ids=FORMS.keys())


def rows(events: Events) -> list[tuple]:
    return events.frame.select("user", "item", "time").rows()


def expected(**wanted: Any) -> list[tuple]:
    places = {NAMES.index(name): values for name, values in wanted.items()}
    return [row[:3] for row in ROWS if all(row[place] in values for place, values in places.items())]


@of_every_form
def test_rows_with_a_value(read: Any):
    assert rows(read(LogData(where="event=buy"))) == expected(event=["buy"])  # pyright: ignore[reportArgumentType]
    both = read(LogData(where=("event= buy,view ", "level=4")))
    assert rows(both) == expected(event=["buy", "view"], level=[4])
    assert rows(read(LogData(where=("item=y",)))) == expected(item=["y"])
    assert rows(read(LogData(where=("event=",)))) == expected(event=[None])
    assert rows(read(LogData(where=("level=5",), rating="level", min_rating=5))) == expected(level=[5])
    assert "event" not in both.reading["columns"].values()
    assert both.reading["notes"][-1].startswith("only rows with event=buy,view and level=4 are events")


@of_every_form
def test_values_that_no_row_has(read: Any):
    with pytest.raises(FarziError, match=r"where: no row has event=veiw; there are 'buy', .*'view'"):
        read(LogData(where=("event=veiw",)))
    with pytest.raises(FarziError, match=r"where: no row has such values in all of event, level"):
        read(LogData(where=("event=buy", "level=1")))
    with pytest.raises(FarziError, match=r"no column 'kind'; the columns are user"):
        read(LogData(where=("kind=buy",)))
    assert "no row has event=sold" in read(LogData(where=("event=buy,sold",))).reading["notes"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.sampled_from(["view", "buy", "1", ""])),
        min_size=2,
        max_size=12,
    ),
    st.sampled_from([",", "::", "\t"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["view", "buy", "1", ""]),
)
def test_any_text_has_the_rows_that_one_filters_by_hand(table, separator, quoting, wanted):
    file = io.StringIO()
    rows = [("user", "item", "event"), *table]
    csv.writer(file, delimiter="\x1f", quoting=quoting, lineterminator="\n").writerows(rows)
    read = of_file(file.getvalue().replace("\x1f", separator).encode())
    kept = [(user, item, line) for line, (user, item, kind) in enumerate(table, 2) if kind == wanted]
    if kept:
        assert read(LogData(where=(f"event={wanted}",))).frame.rows() == kept
    else:
        with pytest.raises(FarziError, match="no row has event="):
            read(LogData(where=(f"event={wanted}",)))


def test_values_of_other_types():
    for library in (pl.DataFrame, pandas.DataFrame):
        frame = library({"user": [1, 2], "item": [3, 4], "bought": [True, False], "kind": [1.0, 2.5]})
        for where in ("bought=true", "kind=1"):
            assert read_frame(frame, LogData(where=(where,))).frame["item"].to_list() == ["3"]
    lines = b'{"user": 1, "item": 3, "bought": true}\n{"user": 2, "item": 4, "bought": false}'
    assert len(of_file(lines, "log.jsonl")(LogData(where=("bought=false",)))) == 1
    with pytest.raises(FarziError, match=r"column 'kind' holds List"):
        read_frame(pl.DataFrame({"user": [1], "item": [2], "kind": [[1]]}), LogData(where=("kind=1",)))


def test_a_log_tells_its_kinds(tmp_path: Path):
    path = tmp_path / "log.csv"
    path.write_text("user,item,time,behavior\n" + "".join(f"{k % 3},{k % 4},{k},buy\n" for k in range(30)))
    plain, chosen = (load_log(path, where=where) for where in ((), "behavior=buy"))
    assert any("data.where=behavior=VALUE" in note for note in readable(plain.facts)["notes"])
    assert not any("behavior is not read" in note for note in readable(chosen.facts)["notes"])
    assert any("only rows with behavior=buy" in line for line in reading_lines(chosen.facts))
    assert load_dataset(chosen.settings or LogData()).facts == chosen.facts
    (path.parent / "lines.dat").write_text("1 5 6 7\n2 7 5\n3 5 6 7\n")
    with pytest.raises(FarziError, match=r"data\.where needs a column"):
        load_log(path.parent / "lines.dat", where="behavior=buy")


@pytest.mark.parametrize("where", ["event", "=buy", ("event=buy", "event=view")])
def test_conditions_that_are_none(where: Any):
    with pytest.raises(FarziError, match=r"data\.where must (be COLUMN=VALUE|name each column once)"):
        Recipe().changed({"data": {"type": "log", "source": "x", "where": where}})


def test_a_condition_is_one_setting_of_a_recipe():
    path, value = parse_change("data.where=event=view,cart")
    recipe = Recipe().changed({path: value})
    assert recipe.data.wanted == {"event": ("view", "cart")}  # pyright: ignore[reportAttributeAccessIssue]


# --- encodings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "shift_jis", "utf-8-sig"])
@pytest.mark.parametrize("name", ["log.csv", "log.jsonl"])
def test_a_log_in_another_encoding(tmp_path: Path, encoding: str, name: str):
    word = "日本" if encoding == "shift_jis" else "café"
    events = [(user, item) for user in "abc" for item in (word, "x", "y")]
    if name == "log.csv":
        text = "user,item\r\n" + "".join(f"{user},{item}\r\n" for user, item in events)
    else:
        text = "".join(
            json.dumps({"user": user, "item": item}, ensure_ascii=False) + "\n" for user, item in events
        )
    (tmp_path / name).write_bytes(text.encode(encoding))
    (tmp_path / "names.csv").write_bytes(f"item_id,name\n{word},the {word}\n".encode(encoding))
    log = load_log(tmp_path / name, encoding=encoding, names=tmp_path / "names.csv")
    named = dict(log.vocabulary.frame.select("id", "name").rows())
    assert named[word] == f"the {word}"


def test_a_text_in_another_encoding(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes("".join(f"Der Bär {k} läuft\n" for k in range(40)).encode("latin-1"))
    with pytest.raises(FarziError, match=r"a\.txt:1: not UTF-8 text .*data\.encoding=latin-1"):
        load_text(path)
    assert {"bär", "läuft"} <= set(load_text(path, encoding="latin-1").vocabulary.frame["id"])


def test_encodings_that_do_not_fit_are_refused(tmp_path: Path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"user,item\na,x\nb,\x81\n")
    with pytest.raises(FarziError, match=r"log\.csv:3: is not cp1252 text"):
        load_log(path, encoding="cp1252")
    path.write_bytes("user,item\na,x\nb,y\n".encode("utf-16")[:-1])
    with pytest.raises(FarziError, match=r"log\.csv:\d: is not utf-16 text"):
        load_log(path, encoding="utf-16")
    for wrong in ("latin-0", "rot13", "undefined", ""):
        with pytest.raises(FarziError, match=r"data\.encoding must be an encoding that Python knows"):
            load_log(path, encoding=wrong)
    path.write_bytes(as_parquet())
    with pytest.raises(FarziError, match=r"data\.encoding applies to delimited text, and this is parquet"):
        load_log(path, encoding="latin-1")
    for source in (FRAME, "movielens-small"):
        with pytest.raises(FarziError, match=r"data\.encoding applies to files"):
            load_log(source, encoding="latin-1")
    with pytest.raises(FarziError, match=r"data\.encoding applies to files"):
        load_text("sotu", encoding="latin-1")
