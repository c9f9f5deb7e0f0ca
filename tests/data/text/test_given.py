"""Texts from Python: strings, columns of frames and data sets, and a tokenizer from a model's folder."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import farzi

LINES = [f"the cat number {k} sat on the mat\nand the dog {k} ran" for k in range(30)]


def of(source: Any, **more: Any) -> farzi.Text:
    return farzi.load_text(source, tokens="words", **more)


def test_strings_are_the_text_of_a_folder_with_such_files(tmp_path: Path):
    for place, text in enumerate(LINES):
        (tmp_path / f"{place:03}.txt").write_text(text)
    given, folder = of(LINES), of(tmp_path)
    assert given.facts["split"] == folder.facts["split"]
    assert (given.train.items == folder.train.items).all()
    assert given.name == "frame"


def test_every_form_of_a_column_is_the_same_text():
    columns = {"id": list(range(30)), "text": LINES}
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    made: list[Any] = [pl.DataFrame(columns), pl.LazyFrame(columns), pandas.DataFrame(columns)]
    made += [pyarrow.table(columns), pl.Series(LINES), pandas.Series(LINES), tuple(LINES), iter(LINES)]
    for source in made:
        assert (of(source).train.items == of(LINES).train.items).all()
    assert (
        of(made[0].rename({"text": "body text"}), column="body text").train.items == of(LINES).train.items
    ).all()


def test_data_sets_of_hugging_face_and_their_parts():
    datasets: Any = pytest.importorskip("datasets")
    whole = datasets.Dataset.from_dict({"text": LINES})
    assert (of(whole).train.items == of(LINES).train.items).all()
    assert (of(whole["text"]).train.items == of(LINES).train.items).all()
    parts = {"train": LINES, "validation": LINES[:3], "test": LINES[3:5]}
    split = of(
        datasets.DatasetDict(
            {name: datasets.Dataset.from_dict({"text": value}) for name, value in parts.items()}
        )
    )
    assert split.facts["split"]["rule"] == "by separate files"
    assert split.facts["split"]["valid"]["documents"] == 3


@pytest.mark.parametrize(
    ("source", "more", "message"),
    [
        (["a", 3], {}, r"row 1 \(counted from 0\): 3 is not a text"),
        (3, {}, "strings, a frame or a data set is needed, not int"),
        (pl.DataFrame({"line": ["a"]}), {}, "no column of texts was recognised; .*the columns are line"),
        (pl.DataFrame({"line": ["a"]}), {"column": "text"}, "no column 'text'"),
        (["a"], {"column": "text"}, "column applies to frames"),
        (
            {"train": ["a"], "test": ["b"]},
            {},
            "train, validation and test are needed as parts, not train, test",
        ),
        (["a"], {"valid_file": "x", "test_file": "y"}, "data.valid_file applies to files"),
        ("missing.txt", {"column": "text"}, "column applies to frames"),
    ],
)
def test_what_is_no_text_is_refused(source: Any, more: dict[str, Any], message: str):
    with pytest.raises(farzi.FarziError, match=message):
        of(source, **more)


def test_a_tokenizer_from_the_folder_of_a_model(tmp_path: Path):
    learnt = farzi.load_text(LINES, tokens="subwords", vocabulary_size=270)
    (tmp_path / "tokenizer.json").write_text(learnt.tokenizer)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    for given in (tmp_path, tmp_path / "tokenizer.json"):  # what it is shows without `tokens`
        text = farzi.load_text(LINES, vocabulary_file=str(given))
        assert (text.train.items == learnt.train.items).all()
    with pytest.raises(farzi.FarziError, match=r"tokenizer\.json: no such file"):
        farzi.load_text(LINES, vocabulary_file=str(tmp_path.parent))
