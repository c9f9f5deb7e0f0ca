"""Texts that are handed over from Python: a list of documents, or a column of a frame or a data set."""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from farzi.data.columns import listed
from farzi.data.text.documents import PARTS
from farzi.errors import FarziError

COLUMNS = ("text", "content", "document", "sentence", "body")
"""Names of columns of text, likeliest first."""


def given_texts(source: Any, column: str | None) -> dict[str, list[str]]:
    """The texts of each part, all in "train" if there are no parts, one for each row or value.

    Args:
        source: strings, a frame, a data set of Hugging Face, or a mapping from parts (train, validation and
            test) to them, as its `DatasetDict`.
        column: the column of texts; by default the one with a name of `COLUMNS`.

    Raises:
        FarziError: there is no such column, a value is no text, or one of three parts is missing.
    """
    if isinstance(source, Mapping):
        part_of = {name: part for part, names in PARTS.items() for name in names}
        parts = {part_of[name]: value for name, value in source.items() if name in part_of}
        if len(parts) < len(PARTS) or len(source) > len(parts):
            names = listed([str(name) for name in source])
            raise FarziError(
                f"text: train, validation and test are needed as parts, not {names}; or give one part alone"
            )
        return {part: _texts(value, column) for part, value in parts.items()}
    return {"train": _texts(source, column)}


def _texts(source: Any, column: str | None) -> list[str]:
    source = source.collect() if isinstance(source, pl.LazyFrame) else source
    columns = getattr(source, "column_names", getattr(source, "columns", None))
    if columns is not None:
        names = [str(name) for name in columns]
        column = next((name for name in COLUMNS if name in names), None) if column is None else column
        if column not in names:
            what = "no column of texts was recognised" if column is None else f"no column {column!r}"
            raise FarziError(f"text: {what}; give its name as column (the columns are {listed(names)})")
        source = source[column]
    elif column is not None:
        raise FarziError("text: column applies to frames and data sets")
    if isinstance(source, str | bytes) or not isinstance(source, Iterable):
        raise FarziError(f"text: strings, a frame or a data set is needed, not {type(source).__qualname__}")
    texts = getattr(source, "to_pylist", source.__iter__)()
    texts = list(texts)
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise FarziError(f"text, row {place} (counted from 0): {text!r:.60} is not a text")
    return texts
