"""Data sets of RecTools, LensKit and Hugging Face are the same log as the frame they were made from."""

from typing import Any

import polars as pl
import pytest

import farzi
from farzi.data import read_frame
from farzi.data.fingerprint import fingerprint

COLUMNS = {
    "user_id": [7, 7, 7, 3, 3, 3, 3, 9, 9, 9],
    "item_id": ["a", "b", "c", "a", "b", "c", "a", "b", "c", "a"],
    "timestamp": [3, 2, 1, 1, 2, 2, 4, 5, 6, 7],
}


def rectools() -> Any:
    pandas: Any = pytest.importorskip("pandas")
    module: Any = pytest.importorskip("rectools.dataset")
    frame = pandas.DataFrame(COLUMNS).rename(columns={"timestamp": "datetime"}).assign(weight=1.0)
    return module.Dataset.construct(frame.assign(datetime=pandas.to_datetime(frame["datetime"], unit="s")))


def lenskit() -> Any:
    pandas: Any = pytest.importorskip("pandas")
    module: Any = pytest.importorskip("lenskit.data")
    builder = module.DatasetBuilder("made")
    builder.add_interactions(
        "event", pandas.DataFrame(COLUMNS), entities=["user", "item"], missing="insert", default=True
    )
    builder.add_scalar_attribute("item", "title", ["a", "b"], ["Alien", "Brazil"])
    return builder.build()


def hugging_face() -> Any:
    module: Any = pytest.importorskip("datasets")
    return module.Dataset.from_dict(COLUMNS)


@pytest.mark.parametrize("make", [rectools, lenskit, hugging_face])
def test_a_data_set_of_another_library_is_the_log_of_its_events(make: Any):
    log, same = farzi.load_log(make()), farzi.load_log(pl.DataFrame(COLUMNS))
    assert fingerprint(log) == fingerprint(same)
    assert repr(log).startswith("Log(frame: 3 users, 3 items, 10 events; Dataset of ")


def test_titles_of_lenskit_are_names():
    names = farzi.load_log(lenskit()).vocabulary.frame
    assert dict(names.select("id", "name").rows()) == {"": None, "a": "Alien", "b": "Brazil", "c": None}


def test_parts_of_a_library_that_hold_no_log_are_refused():
    module: Any = pytest.importorskip("datasets")
    with pytest.raises(farzi.FarziError, match=r"several parts \('train'\); give one, as in data\['train'\]"):
        read_frame(module.DatasetDict({"train": hugging_face()}))
    with pytest.raises(farzi.FarziError, match="without streaming=True"):
        read_frame(hugging_face().to_iterable_dataset())


def test_rows_of_a_chosen_part_alone_are_read():
    part = hugging_face().select([3, 4, 5, 6])
    assert read_frame(part).frame["user"].to_list() == ["3"] * 4


def test_an_internal_table_of_rectools_is_refused():
    with pytest.raises(farzi.FarziError, match="has no original ids; give its Dataset"):
        read_frame(rectools().interactions)
