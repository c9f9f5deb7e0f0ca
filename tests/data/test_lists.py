"""Rows that hold lists of items, as histories, sessions and baskets: the same log as a row for each event."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from farzi.data import read_events, read_frame
from farzi.errors import FarziError
from farzi.recipe.variants import LogData

HISTORIES = {
    "user_id": [7, 3],
    "history_item_id": [["a", "b", "c"], ["b", "a"]],
    "history_timestamp": [[3, 2, 1], [5, 6]],
}
EVENTS = [("7", "a", 3), ("7", "b", 2), ("7", "c", 1), ("3", "b", 5), ("3", "a", 6)]


def made(kind: str, columns: dict[str, list[Any]], folder: Path) -> Any:
    if kind in ("parquet", "jsonl"):
        path = folder / f"log.{kind}"
        frame = pl.DataFrame(columns)
        (frame.write_parquet if kind == "parquet" else frame.write_ndjson)(path)
        return read_events(path)
    makers = {"polars": pl.DataFrame, "array": _arrays}
    if kind in makers:
        return read_frame(makers[kind](columns))
    library: Any = pytest.importorskip({"hf": "datasets"}.get(kind, kind))
    make = {"pandas": "DataFrame", "pyarrow": "table", "hf": "Dataset"}[kind]
    return read_frame(library.Dataset.from_dict(columns) if kind == "hf" else getattr(library, make)(columns))


def _arrays(columns: dict[str, list[Any]]) -> pl.DataFrame:
    """Each list three long, as arrays."""
    frame = pl.DataFrame(
        {"user_id": [7], **{name: [values[0]] for name, values in columns.items() if name != "user_id"}}
    )
    return frame.with_columns(pl.col(pl.List(pl.String), pl.List(pl.Int64)).list.to_array(3))


@pytest.mark.parametrize("kind", ["polars", "pandas", "pyarrow", "hf", "parquet", "jsonl"])
def test_histories_in_lists_are_the_log_of_their_events(kind: str, tmp_path: Path):
    events = made(kind, HISTORIES, tmp_path)
    assert events.frame.drop("row").rows() == EVENTS
    assert events.frame["row"].n_unique() == 2  # the number of the row, for messages
    assert "a list of items in each row with times" in events.reading["form"]


def test_arrays_of_a_fixed_width_are_lists(tmp_path: Path):
    assert made("array", HISTORIES, tmp_path).frame.drop("row").rows() == EVENTS[:3]


@pytest.mark.parametrize(
    "name", ["items", "item_ids", "history", "movie_id_list", "hist_item_id", "item_seq", "basket"]
)
def test_names_of_columns_with_lists(name: str):
    read = read_frame(pl.DataFrame({"user": [1, 2], name: [["a"], ["b", "c"]]}))
    assert read.frame.drop("row").rows() == [("1", "a"), ("2", "b"), ("2", "c")]


def test_the_items_of_a_basket_have_its_time_and_an_empty_one_has_no_event():
    read = read_frame(
        pl.DataFrame({"user_id": [1, 1, 2], "items": [["a", "b"], ["a"], []], "timestamp": [2, 1, 3]})
    )
    assert read.frame.rows() == [("1", "a", 2, 0), ("1", "b", 2, 0), ("1", "a", 1, 1)]
    assert read.reading["notes"] == ["rows with an empty list, which hold no event: 1"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"history": [["a"], ["a", "b"], ["a", "b", "c"]]}, "row 1 .*repeats the items of an earlier row"),
        (
            {"item_id": ["x", "y", "z"], "history": [["a"], ["b"], ["c"]]},
            "item=history reads the lists, item=item_id",
        ),
        (
            {"items": [["a"], ["b"], ["c", "d"]], "timestamps": [[1], [2], [3]]},
            "row 2 .* 1 values for the 2 items",
        ),
        ({"items": [["a"], None, ["c", "d"]]}, "row 1 .*column 'items': no value"),
        ({"items": [["a"], ["b", None], ["c", "d"]]}, "row 1 .*column 'items': no value"),
        ({"items": [[["a"]], [["b"]], [["c"]]]}, "holds List"),
    ],
)
def test_lists_that_would_be_another_log_are_refused(columns: dict[str, Any], message: str):
    with pytest.raises(FarziError, match=message):
        read_frame(pl.DataFrame({"user_id": [1, 1, 1], **columns}))


def test_one_of_two_columns_of_items_is_named():
    frame = pl.DataFrame({"user_id": [1, 2], "item_id": ["x", "y"], "history": [["a"], ["b", "c"]]})
    assert read_frame(frame, LogData(item="item_id")).frame["item"].to_list() == ["x", "y"]
    assert read_frame(frame, LogData(item="history")).frame["item"].to_list() == ["a", "b", "c"]
