"""Recommendations by id: histories as frames, mappings or lists, and the answer in the same form."""

import warnings
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import polars as pl

from farzi.data import Vocabulary, is_frame, read_frame
from farzi.data.columns import bare, choose_event_columns
from farzi.errors import FarziError, FarziWarning
from farzi.models.base import SequenceModel
from farzi.recipe.variants import LogData

SCORES = 2**26
"""Scores held at a time: 256 MiB in float32."""


@dataclass(frozen=True, eq=False)
class Histories:
    """The histories of some users.

    Attributes:
        users: the user of each history, as given: a series of polars or an array of pandas.
        ids: the item ids of each user as text, oldest first.
        numeric: the type of the given item ids if they are numbers, else None.
        skipped: rows of a frame that lack a user, an item or a time.
        package: what the frame is from, and the answer shall be: polars, pandas or pyarrow.
        dtype: for pandas the type of the item column.
    """

    users: Any
    ids: list[list[str]]
    numeric: pl.DataType | None
    skipped: int = 0
    package: str = "polars"
    dtype: Any = None


def read_histories(
    given: Any, user: str | None = None, item: str | None = None, time: str | None = None
) -> Histories:
    """Histories as `Model.recommend` takes them.

    Raises:
        FarziError: they have another form, or a frame has missing columns or values.
    """
    if is_frame(given) and not isinstance(given, pl.Series):
        return _from_frame(given, user, item, time)
    named, given = isinstance(given, Mapping), _plain(given)
    if not named and not _is_list(given):
        raise FarziError(
            "histories must be a frame, a mapping from users to lists of item ids, or a list of such lists, "
            f"not {type(given).__name__}"
        )
    lists = [_plain(one) for one in (given.values() if named else given)]
    users = list(given) if named else range(len(lists))
    if lists and not named and not any(map(_is_list, lists)):
        lists, users = [lists], [0]  # one history
    values: list[list[Any]] = []
    for one in lists:
        values.append([_plain(value) for value in one] if _is_list(one) else [()])
        if any(isinstance(value, Mapping | Set) or _is_list(value) for value in values[-1]):
            raise FarziError(f"histories: each user must have a list of item ids, not {one!r:.60}")
    whole = any(values) and all(isinstance(value, Integral) for row in values for value in row)
    ids = [[_text(value) for value in row] for row in values]
    return Histories(pl.Series(users, strict=False), ids, pl.Int64() if whole else None)


def _plain(given: Any) -> Any:
    """Arrays, tensors, series and iterators as lists; all else as it is."""
    for name in ("tolist", "to_list"):
        if hasattr(given, name):
            return getattr(given, name)()
    return list(given) if _is_list(given) else given


def _is_list(given: Any) -> bool:
    """Whether it has items in an order, as sets do not have."""
    return isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping | Set)


def recommend(
    network: SequenceModel, vocabulary: Vocabulary, histories: Histories, k: int, exclude_seen: bool
) -> Any:
    """The k items that score highest after each history, as a frame; see `Model.recommend`."""
    index = {id: place for place, id in enumerate(vocabulary.frame["id"].to_list()) if place}
    known = [[index[id] for id in ids if id in index] for ids in histories.ids]
    _warn(histories, [len(ids) for ids in known], vocabulary)
    users = np.flatnonzero([len(ids) > 0 for ids in known])
    indices, scores = np.zeros((len(users), k), np.int64), np.zeros((len(users), k), np.float32)
    rows = max(1, SCORES // len(vocabulary))
    for begin in range(0, len(users), rows):
        part = slice(begin, begin + rows)
        best, values = network.top_k(
            [known[place] for place in users[part]],
            k,
            exclude_seen=exclude_seen,
            exclude=vocabulary.untrained,
        )
        indices[part], scores[part] = best.cpu().numpy(), values.float().cpu().numpy()
    there = np.isfinite(scores)  # fewer than k items may be left
    columns = {
        "item_id": _ids(vocabulary, histories.numeric).gather(indices[there] - 1),
        "score": pl.Series(scores[there]),
        "rank": pl.Series(np.broadcast_to(np.arange(1, k + 1), there.shape)[there]),
    }
    names = vocabulary.frame["name"]
    if names.null_count() < len(names):
        columns["name"] = names.gather(indices[there])
    return _answer(histories, np.repeat(users, there.sum(1)), columns)


def _from_frame(frame: Any, user: str | None, item: str | None, time: str | None) -> Histories:
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    library = type(frame).__module__.partition(".")[0]
    table: Any = frame if library in ("pandas", "polars") else pl.DataFrame(frame)
    names = [bare(str(name)) for name in table.columns]
    roles = choose_event_columns(names, "histories", user, item, time, prefix="")
    events, skipped = pl.DataFrame(schema={"user": pl.String, "item": pl.String, "row": pl.UInt32}), 0
    if len(table):
        given = {"user": roles["user"], "item": roles["item"], "time": roles.get("time"), "skip_bad": True}
        read = read_frame(table, LogData.model_construct(**given), "histories")  # any text names a column
        events, skipped = read.frame, len(read.skipped)
    if "time" in events.columns:
        events = events.sort("time", maintain_order=True)
    of_user = events.group_by("user", maintain_order=True).agg("item", pl.col("row").min()).sort("row")
    first, ids = of_user["row"].to_numpy(), of_user["item"].to_list()
    places = names.index(roles["user"]), names.index(roles["item"])
    if library == "pandas":
        users, items = (table.iloc[:, place].array for place in places)
        numeric = {"i": pl.Int64(), "u": pl.Int64(), "f": pl.Float64()}.get(items.dtype.kind)
        return Histories(users.take(first), ids, numeric, skipped, library, items.dtype)
    users, items = (table.to_series(place) for place in places)
    return Histories(
        users.gather(first), ids, items.dtype if items.dtype.is_numeric() else None, skipped, library
    )


def _answer(histories: Histories, users: np.ndarray, columns: dict[str, pl.Series]) -> Any:
    """A frame of the right library; `users` are places in `histories.users`."""
    if histories.package != "pandas":
        frame = pl.DataFrame({"user_id": histories.users.gather(users), **columns})
        return frame.to_arrow() if histories.package == "pyarrow" else frame
    import pandas  # pyright: ignore[reportMissingImports, reportMissingModuleSource]

    values = {
        name: column.to_numpy() if column.dtype.is_numeric() else column.to_list()
        for name, column in columns.items()
    }
    made = pandas.DataFrame({"user_id": histories.users.take(users), **values})
    return made.astype({"item_id": histories.dtype}) if columns["item_id"].dtype.is_numeric() else made


def _ids(vocabulary: Vocabulary, numeric: pl.DataType | None) -> pl.Series:
    """The id of each index from 1 on; as numbers if that is wanted and possible."""
    ids = vocabulary.frame["id"][1:]
    numbers = ids.cast(pl.Int64, strict=False)
    if numeric is None or not numbers.cast(pl.String).equals(ids):
        return ids
    typed = numbers.cast(numeric, strict=False)
    return ids if typed.null_count() else typed


def _text(value: Any) -> str:
    """An id as the log reader stores it; "", which no item has, if it is missing."""
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _warn(histories: Histories, known: list[int], vocabulary: Vocabulary) -> None:
    """One warning about all that is left out; `known` is the number of known items of each user."""
    problems, total = [], sum(map(len, histories.ids))
    if histories.skipped:
        problems.append(f"rows without a user, an item or a time: {histories.skipped:,}")
    if unknown := total - sum(known):
        problems.append(f"events of items that the model does not know: {unknown:,} of {total:,}")
        if unknown == total:
            problems[-1] += f" (its ids are such as {', '.join(map(repr, vocabulary.frame['id'][1:4]))})"
    if without := known.count(0):
        problems.append(f"users without any known item: {without:,} of {len(known):,}")
    if problems:
        warnings.warn(f"left out: {'; '.join(problems)}", FarziWarning, stacklevel=5)
