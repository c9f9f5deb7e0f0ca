"""Reading a log or a text."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from farzi.data import Log, Text, is_frame, load_data, load_dataset, read_frame, read_names
from farzi.data import load_text as _load_text
from farzi.data.text.given import given_texts
from farzi.errors import FarziError
from farzi.recipe import Recipe

FRAME = "frame"
"""What a recipe calls a log or a text that was handed over from Python."""


def load_log(source: Any = "movielens-small", *, names: Any = None, **settings: Any) -> Log:
    """Read a log of events, filter it, order it and split it.

    Args:
        source: a path, the name of a known log (`farzi data list`), a frame of pandas, polars or Arrow, or a
            data set of RecTools, LensKit or Hugging Face `datasets`. It has the columns `user_id`, `item_id`
            and `timestamp`, or others that the settings `user`, `item` and `time` name. A row is an event;
            or it holds a list of items, as `history_item_id`: a user's history, a session or a basket.
        names: readable names of items: a file with the columns `item_id` and `name`, or, for a frame, the
            names by id or a frame with these columns.
        settings: of `farzi.recipe.variants.LogData`, by name: `user`, `item`, `time`, `time_format`,
            `rating`, `min_rating`, `where`, `missing`, `split`, `min_user_events`, `min_item_events`, `ties`,
            `duplicates`, `unseen`, `skip_bad`; for files also `file`, `encoding`, `separator`, `columns`,
            `format` and `quotes`.

    Raises:
        FarziError: the log cannot be read or used; the line says what is wrong, where, and what to do.
    """
    if "items" in settings:
        raise FarziError("items: a table of items with their names is given as names=")
    held = isinstance(names, Mapping) or is_frame(names)
    if not held and not isinstance(names, str | Path | None):
        raise FarziError(
            f"names must be a file, a frame or a dict of names by id, not {type(names).__qualname__}"
        )
    given = None if names is None or held else str(names)
    if isinstance(source, str | Path):
        if held:
            raise FarziError(f"{source}: names of a file's items are read from a file: names=PATH")
        return load_dataset(_data(type="log", source=str(source), names=given, **settings))
    chosen = _data(type="log", source=FRAME, names=given, **settings)
    events = read_frame(source, chosen, FRAME)
    if held:
        events = replace(events, names=read_names(names, chosen))
    return load_dataset(chosen, events)


def load_text(source: Any = "sotu", *, column: str | None = None, **settings: Any) -> Text:
    """Read a text, split it and cut it into tokens.

    Args:
        source: a file, a folder, or the name of a known text (`farzi data list`); or a list of strings, a
            frame or a Hugging Face `Dataset` with a string in each row, each as the content of one file; or a
            `DatasetDict` with train, validation and test.
        column: of a frame or data set, the column of strings; `text` by default.
        settings: of `farzi.recipe.variants.TextData`, by name: `tokens`, `vocabulary_size`, `lines`, ...

    Raises:
        FarziError: the text cannot be read or used.
    """
    if not isinstance(source, str | Path):
        return _load_text(_data(type="text", source=FRAME, **settings), given_texts(source, column))
    if column is not None:
        raise FarziError(f"{source}: column applies to frames and data sets, not to files")
    text = load_data(_data(type="text", source=str(source), **settings))
    assert isinstance(text, Text)
    return text


def _data(**settings: Any) -> Any:
    return Recipe().changed({"data": settings}).data
