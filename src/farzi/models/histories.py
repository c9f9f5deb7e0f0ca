"""Recommendations by id: histories as frames, mappings or lists, and the answer in the same form."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import polars as pl

from farzi.data import Vocabulary, is_frame, read_frame
from farzi.data.columns import bare, choose_event_columns
from farzi.errors import FarziError, FarziWarning
from farzi.models.base import SequenceModel

SCORES = 2**26
"""Scores held at a time: 256 MiB in float32."""


@dataclass(frozen=True, eq=False)
class Histories:
    """The histories of some users.

    Attributes:
        ids: the item ids of each user as text, oldest first.
        skipped: rows of a frame that lack a user, an item or a time.
        numeric: the type of the given item ids if they are numbers, else None.
        frame: creates the result from the place in `ids` of each row's user, (n,), and the other columns.
    """

    ids: list[list[str]]
    numeric: pl.DataType | None
    frame: Callable[[np.ndarray, pl.DataFrame], Any]
    skipped: int = 0


def read_histories(
    given: Any, user: str | None = None, item: str | None = None, time: str | None = None
) -> Histories:
    """Histories as `Model.recommend` takes them; see there.

    Raises:
        FarziError: they have another form, or a frame has missing columns or values.
    """
    if is_frame(given):
        return _of_frame(given, user, item, time)
    if isinstance(given, Mapping):
        return _of_lists(_series("user_id", list(given)), list(given.values()))
    if isinstance(given, Iterable) and not isinstance(given, str | bytes):
        lists = list(given)
        return _of_lists(pl.Series("user_id", range(len(lists)), pl.Int64), lists)
    raise FarziError(
        "histories must be a frame, a mapping from users to lists of item ids, or a list of such lists, not "
        f"{type(given).__name__}"
    )


def recommend(
    network: SequenceModel, vocabulary: Vocabulary, histories: Histories, k: int, exclude_seen: bool
) -> Any:
    """The k items that score highest after each history, as a frame; see `Model.recommend`."""
    index = {id: place for place, id in enumerate(vocabulary.frame["id"].to_list()) if place}
    known = [[index[id] for id in ids if id in index] for ids in histories.ids]
    _warn(histories, [len(ids) for ids in known])
    users = np.flatnonzero([len(ids) > 0 for ids in known])
    indices, scores = np.zeros((len(users), k), np.int64), np.zeros((len(users), k), np.float32)
    rows = max(1, SCORES // len(vocabulary))
    for begin in range(0, len(users), rows):
        part = slice(begin, begin + rows)
        best, values = network.top_k([known[place] for place in users[part]], k, exclude_seen=exclude_seen)
        indices[part], scores[part] = best.cpu().numpy(), values.float().cpu().numpy()
    there = np.isfinite(scores)  # fewer than k items may be left
    chosen, ids = indices[there], _ids(vocabulary, histories.numeric)
    columns = [
        ids.gather(chosen).alias("item_id"),
        pl.Series("score", scores[there]),
        pl.Series("rank", np.broadcast_to(np.arange(1, k + 1), there.shape)[there]),
    ]
    names = vocabulary.frame["name"]
    if names.null_count() < len(names):
        columns.append(names.gather(chosen).alias("name"))
    return histories.frame(np.repeat(users, there.sum(1)), pl.DataFrame(columns))


def _of_frame(frame: Any, user: str | None, item: str | None, time: str | None) -> Histories:
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    library = type(frame).__module__.partition(".")[0]
    table = frame if library in ("pandas", "polars") else pl.DataFrame(frame)
    names = [bare(str(name)) for name in getattr(table, "columns", ())]
    roles = choose_event_columns(names, "histories", user, item, time, prefix="")
    events, skipped = pl.DataFrame(schema={"user": pl.String, "item": pl.String, "row": pl.UInt32}), 0
    if len(table):
        read = read_frame(table, roles["user"], roles["item"], roles.get("time"), True, "histories")
        events, skipped = read.frame, len(read.skipped)
    if "time" in events.columns:
        events = events.sort("time", maintain_order=True)
    of_user = events.group_by("user", maintain_order=True).agg("item", pl.col("row").min()).sort("row")
    first = of_user["row"].to_numpy()
    ids = of_user["item"].to_list()
    place = {role: names.index(name) for role, name in roles.items()}
    if library == "pandas":
        return Histories(ids, *_for_pandas(table, place["user"], place["item"], first), skipped)
    users, items = (table.to_series(place[role]) for role in ("user", "item"))

    def result(rows: np.ndarray, columns: pl.DataFrame) -> Any:
        whole = pl.DataFrame([users.gather(first[rows]).alias("user_id"), *columns])
        return whole.to_arrow() if library == "pyarrow" else whole

    return Histories(ids, items.dtype if items.dtype.is_numeric() else None, result, skipped)


def _for_pandas(table: Any, user: int, item: int, first: np.ndarray) -> tuple[pl.DataType | None, Any]:
    """The type of the item column if it is one of numbers, and what creates a result of pandas."""
    import pandas  # pyright: ignore[reportMissingImports, reportMissingModuleSource]

    kind = table.iloc[:, item].dtype
    numeric = {"i": pl.Int64(), "u": pl.Int64(), "f": pl.Float64()}.get(kind.kind)

    def result(rows: np.ndarray, columns: pl.DataFrame) -> Any:
        users = table.iloc[:, user].array.take(first[rows])
        made = {
            name: columns[name].to_numpy() if columns[name].dtype.is_numeric() else columns[name].to_list()
            for name in columns.columns
        }
        frame = pandas.DataFrame({"user_id": users, **made})
        return frame.astype({"item_id": kind}) if columns["item_id"].dtype.is_numeric() else frame

    return numeric, result


def _of_lists(users: pl.Series, lists: list[Any]) -> Histories:
    values: list[list[Any]] = []
    for one in lists:
        if isinstance(one, str | bytes) or not isinstance(one, Iterable):
            raise FarziError(f"histories: each user must have a list of item ids, not {one!r:.60}")
        values.append(one.tolist() if hasattr(one, "tolist") else list(one))  # pyright: ignore
    whole = all(isinstance(value, Integral) for row in values for value in row)

    def result(rows: np.ndarray, columns: pl.DataFrame) -> pl.DataFrame:
        return pl.DataFrame([users.gather(rows), *columns])

    ids = [[_text(value) for value in row] for row in values]
    return Histories(ids, pl.Int64() if whole and any(values) else None, result)


def _ids(vocabulary: Vocabulary, numeric: pl.DataType | None) -> pl.Series:
    """The id of each index; as numbers if that is wanted and possible."""
    ids = vocabulary.frame["id"]
    if numeric is None:
        return ids
    whole = ids[1:].cast(pl.Int64, strict=False)
    if whole.null_count() or not whole.cast(pl.String).equals(ids[1:]):
        return ids
    numbers = pl.concat([pl.Series([0], dtype=pl.Int64), whole]).cast(numeric, strict=False)
    return ids if numbers.null_count() else numbers


def _text(value: Any) -> str:
    """An id as the log reader stores it; "", which no item has, if it is missing."""
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _series(name: str, values: list[Any]) -> pl.Series:
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, pl.exceptions.PolarsError):  # of several types
        return pl.Series(name, [str(value) for value in values])


def _warn(histories: Histories, known: list[int]) -> None:
    """One warning about all that is left out; `known` is the number of known items of each user."""
    problems, total = [], sum(map(len, histories.ids))
    if histories.skipped:
        problems.append(f"rows without a user, an item or a time: {histories.skipped:,}")
    if unknown := total - sum(known):
        problems.append(f"events of items that the model does not know: {unknown:,} of {total:,}")
    if without := known.count(0):
        problems.append(f"users without any known item: {without:,} of {len(known):,}")
    if problems:
        warnings.warn(f"left out: {'; '.join(problems)}", FarziWarning, stacklevel=4)
