"""Logs from frames: the same events, checks and messages as from files, whatever library made the frame."""

import datetime as dt
from typing import Any

import polars as pl
import pytest

from farzi.data import is_frame, load_dataset, make_log, read_events, read_frame, read_names
from farzi.data.fingerprint import fingerprint
from farzi.errors import FarziError
from farzi.recipe.variants import LogData

pandas: Any = pytest.importorskip("pandas")
pyarrow: Any = pytest.importorskip("pyarrow")

COLUMNS = {
    "note": ["x", "y", "z", "u", "v", "w", "t"],
    "user_id": [7, 7, 7, 3, 3, 3, 3],
    "item_id": ["a", "b", "c", "a", "b", "c", "a"],
    "timestamp": [3, 2, 1, 1, 2, 2, 4],
}
MAKERS = {
    "polars": pl.DataFrame,
    "lazy": pl.LazyFrame,
    "pandas": pandas.DataFrame,
    "pyarrow": pyarrow.table,
    "batch": pyarrow.record_batch,
}
make_any = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
make_each = pytest.mark.parametrize("make", [pl.DataFrame, pandas.DataFrame, pyarrow.table])


@make_any
def test_a_frame_is_the_same_log_as_its_file(make: Any, tmp_path: Any):
    frame = make(COLUMNS)
    assert is_frame(frame)
    events = read_frame(frame)
    assert events.frame["row"].to_list() == list(range(7))
    pl.DataFrame(COLUMNS).write_csv(tmp_path / "log.csv")
    file = read_events(tmp_path / "log.csv")
    assert events.frame.drop("row").equals(file.frame.drop("row"))
    assert events.frame.schema == file.frame.schema
    assert fingerprint(make_log(events)) == fingerprint(make_log(file))
    assert make_log(events).facts["name"] == make_log(events).name == "frame"


@make_each
def test_columns_are_guessed_or_given(make: Any):
    frame = make({"sku": ["x", "y"], "user_id": [1, 2], "reviewerID": ["p", "q"], "when": [5, 6]})
    assert read_frame(frame).frame.columns == ["user", "item", "row"]
    given = read_frame(frame, LogData(user="reviewerID", item="sku", time="when"))
    assert given.frame.rows() == [("p", "x", 5, 0), ("q", "y", 6, 1)]
    with pytest.raises(FarziError, match=r"frame: no column 'x'; the columns are sku, user_id, reviewerID"):
        read_frame(frame, LogData(user="x"))
    with pytest.raises(FarziError, match=r"frame: no item column recognised .* give its name as item"):
        read_frame(make({"user": [1], "what": [2]}))


@make_each
def test_ids_become_text_and_missing_ones_are_bad_rows(make: Any):
    frame = make({"user": [1.0, None, 3.0, 4.5], "item": ["a", "b", "", None]})
    with pytest.raises(
        FarziError,
        match=r"^frame, row 1 \(counted from 0\): column 'user': no value \(3 bad rows in all; .*skip_bad",
    ):
        read_frame(frame)
    events = read_frame(frame, LogData(skip_bad=True))
    assert events.frame.rows() == [("1", "a", 0)]
    assert [(row.line, row.column) for row in events.skipped] == [(1, "user"), (2, "item"), (3, "item")]
    assert str(events.skipped[0]) == "row 1 (counted from 0): column 'user': no value"


BERLIN = dt.timezone(dt.timedelta(hours=1))


@make_each
@pytest.mark.parametrize(
    ("times", "seconds", "dated"),
    [
        ([5, 6], [5, 6], False),
        ([5.0, 6.5], [5.0, 6.5], False),
        (["2020-01-01", "2020-01-01T01:00:00+01:00"], [1577836800, 1577836800], True),
        (["5", " 6"], [5, 6], False),
        ([dt.date(2020, 1, 1), dt.date(2020, 1, 2)], [1577836800, 1577923200], True),
        ([dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, 0, 0, 1)], [1577836800, 1577836801], True),
        (
            [dt.datetime(2020, 1, 1, 1, tzinfo=BERLIN), dt.datetime(2020, 1, 1, 2, tzinfo=BERLIN)],
            [1577836800, 1577840400],
            True,
        ),
    ],
)
def test_times(make: Any, times: list[Any], seconds: list[float], dated: bool):
    events = read_frame(make({"user": [1, 2], "item": [3, 4], "time": times}))
    assert events.frame["time"].to_list() == seconds
    assert events.dated == dated


@make_each
def test_a_time_that_is_none_is_named_by_its_row(make: Any):
    frame = make({"user": [1, 2, 3], "item": [1, 2, 3], "time": ["2020-01-01", "soon", None]})
    with pytest.raises(
        FarziError,
        match=r"^frame, row 1 \(counted from 0\): column 'time': 'soon' is not a time .*\(2 bad rows",
    ):
        read_frame(frame)
    assert [row.reason for row in read_frame(frame, LogData(skip_bad=True)).skipped][1] == "no value"


def test_columns_of_pandas_that_arrow_does_not_have():
    mixed = pandas.DataFrame({"user": [1, "x", 3.0], "item": pandas.Categorical(["a", "b", "a"])})
    assert read_frame(mixed).frame.rows() == [("1", "a", 0), ("x", "b", 1), ("3", "a", 2)]
    nullable = pandas.DataFrame(
        {"user": pandas.array([1, None], "Int64"), "item": pandas.array(["a", "b"], "string")}
    )
    assert read_frame(nullable, LogData(skip_bad=True)).frame.rows() == [("1", "a", 0)]
    other = pandas.DataFrame({"user": [1, 2], "item": [1, 2], "x": [{1}, object()]}, index=["p", "q"])
    assert len(read_frame(other)) == 2  # a column that is not wanted is not read


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pandas.DataFrame([[1, 2, 3]], columns=["user", "user", "item"]), "'user' is there twice"),
        (pl.DataFrame({"user": [[1]], "item": [2]}), r"'user' holds List\(Int64\), not one user per row"),
        (pyarrow.table({"user": [1], "item": [b"a"]}), "'item' holds Binary"),
        (pl.DataFrame({"user": [], "item": []}), "has columns but no rows"),
        (pandas.Series([1, 2]), "a frame of pandas, polars or pyarrow, .* is needed, not Series"),
        (pyarrow.chunked_array([[1]]), "frame: "),
        ({"user": [1]}, "a frame of pandas, polars or pyarrow, .* is needed, not dict"),
    ],
)
def test_what_is_no_log_is_refused_in_one_line(frame: Any, message: str):
    with pytest.raises(FarziError, match=message) as caught:
        read_frame(frame)
    assert str(caught.value).startswith("frame: ")
    assert "\n" not in str(caught.value)


@make_each
def test_an_item_that_is_never_trained_on_is_named_by_its_row(make: Any):
    items = ["a", "b", "c", "a", "b", "new"]
    frame = make({"user": list("uuuvvv"), "item": items, "time": [1, 2, 3, 1, 2, 3]})
    with pytest.raises(FarziError, match=r"^frame, row 1 \(counted from 0\): item 'b' is held out"):
        make_log(read_frame(frame), unseen="error")


def test_a_frame_is_split_by_the_settings_of_a_recipe(tmp_path: Any):
    (tmp_path / "names.csv").write_text("item_id,name\na,Apple\n")
    settings = LogData(source="shop", min_user_events=4, unseen="keep", names=str(tmp_path / "names.csv"))
    events = read_frame(pl.DataFrame({"user": list("uuuuvvvvw"), "item": list("abcdabcda")}))
    log = load_dataset(settings, events)
    assert log.settings == settings
    assert (log.facts["users"], log.facts["unseen"]["rule"]) == (2, "keep")
    assert "Apple" in log.vocabulary.frame["name"]


NAMED = [("300", "a"), ("7", "b")]


@pytest.mark.parametrize(
    "names",
    [
        {300: "a", 7: "b"},
        {300.0: "a", 7.0: " b "},
        {"300.0": "a", " 7": "b", "8": None, None: "x", "NA": "y"},
        {300.0: "a", "7": "b", "9": float("nan")},
        {2**63: "c", 300: "a", 7: "b"},
        pl.DataFrame({"item_id": [300.0, 7.0, None], "title": ["a", "b", "c"]}),
        pandas.DataFrame({"item_id": [300.0, 7.0, None], "title": ["a", "b", "c"]}),
        pyarrow.table({"item_id": ["300.0", "7"], "title": ["a", "b"]}),
    ],
)
def test_names_have_the_ids_of_the_log(names: Any):
    assert [row for row in read_names(names).rows() if row[1] != "c"] == NAMED


def test_names_that_cannot_be_read_are_refused():
    with pytest.raises(FarziError, match=r"names, row 1 .*column 'id': '\(1, 2\)' is not one id"):
        read_names({"a": "x", (1, 2): "y"})
    assert read_names({"NA": "x"}, LogData(missing="none")).rows() == [("NA", "x")]
    assert read_names({}).is_empty()
