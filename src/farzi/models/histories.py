"""Recommendations by id: histories as frames, mappings or lists, and the answer in the same form."""

import itertools
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from farzi.data import Vocabulary, is_frame, plain_frame, read_frame
from farzi.data.columns import bare, choose_event_columns
from farzi.data.sorting import codes_of
from farzi.errors import FarziError, FarziWarning
from farzi.files import place, written
from farzi.models.base import SequenceModel
from farzi.recipe.variants import LogData

SCORES = 2**26
"""Scores held at a time: 256 MiB in float32."""
SUFFIXES = (".parquet", ".csv", ".jsonl")
"""Of files of recommendations."""


@dataclass(frozen=True, eq=False)
class Histories:
    """The histories of some users, 4 bytes for an event.

    Attributes:
        users: the user of each history, as given: a series of polars or an array of pandas.
        ids: the distinct item ids as text.
        items: the place in `ids` of each event, (n,); the events of one user, oldest first, stand together.
        offsets: where the events of each user begin, (users + 1,).
        numeric: the type of the given item ids if they are numbers, else None.
        skipped: rows of a frame that lack a user, an item or a time.
        package: what the frame is from, and the answer shall be: polars, pandas or pyarrow.
        dtype: for pandas the type of the item column.
    """

    users: Any
    ids: pl.Series
    items: np.ndarray
    offsets: np.ndarray
    numeric: pl.DataType | None
    skipped: int = 0
    package: str = "polars"
    dtype: Any = None


@dataclass(frozen=True, eq=False)
class _Known:
    """The events of items that a vocabulary has, of the users `rows`, which begin at `offsets`."""

    items: np.ndarray
    rows: np.ndarray
    offsets: np.ndarray


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
    codes, ids = codes_of(pl.Series([_text(value) for row in values for value in row], dtype=pl.String))
    offsets = np.cumsum([0, *map(len, values)])
    return Histories(pl.Series(users, strict=False), ids, codes, offsets, pl.Int64() if whole else None)


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
    known = _known(histories, vocabulary)
    parts = list(_recommended(network, vocabulary, histories, known, k, exclude_seen))
    columns = {name: pl.concat([part[name] for _, part in parts]) for name in parts[0][1]}
    return _answer(histories, np.concatenate([users for users, _ in parts]), columns)


def write_recommendations(
    network: SequenceModel,
    vocabulary: Vocabulary,
    histories: Histories,
    k: int,
    exclude_seen: bool,
    path: str | Path,
) -> tuple[int, int]:
    """`recommend` into a file, a part of the users at a time; see `Model.recommend_to`. Rows and users."""
    known, form, users, rows = _known(histories, vocabulary), Path(path).suffix, 0, 0
    if form not in SUFFIXES:
        raise FarziError(f"{path}: recommendations are written to a file that ends in {', '.join(SUFFIXES)}")
    with written(place(path)) as file, tempfile.TemporaryDirectory() as scratch:
        for number, (which, columns) in enumerate(
            _recommended(network, vocabulary, histories, known, k, exclude_seen)
        ):
            users, rows = users + len(np.unique(which)), rows + len(which)
            taken = (
                histories.users.take(which)
                if histories.package == "pandas"
                else histories.users.gather(which)
            )
            part = pl.DataFrame({"user_id": pl.Series(taken), **columns}).cast({pl.Enum: pl.String})
            if form == ".csv":
                part.write_csv(file, include_header=number == 0)
            elif form == ".jsonl":
                part.write_ndjson(file)
            else:
                part.write_parquet(Path(scratch) / f"{number:09}.parquet")
        if form == ".parquet":
            parts = Path(scratch) / "*.parquet"
            pl.scan_parquet(parts, glob=True).sink_parquet(file, maintain_order=True)
    return rows, users


def _known(histories: Histories, vocabulary: Vocabulary) -> _Known:
    """The events of items that the vocabulary has; one warning about what is left out."""
    index = {id: place for place, id in enumerate(vocabulary.frame["id"].to_list()) if place}
    table = np.fromiter((index.get(id, 0) for id in histories.ids), np.int64, len(histories.ids))
    items = table[histories.items] if len(table) else np.zeros(0, np.int64)
    ends = np.append(0, np.cumsum(items > 0))[histories.offsets]
    counts = np.diff(ends)
    _warn(histories, counts, vocabulary)
    rows = np.flatnonzero(counts)
    return _Known(items[items > 0], rows, np.append(0, np.cumsum(counts[rows])))


def _recommended(
    network: SequenceModel,
    vocabulary: Vocabulary,
    histories: Histories,
    known: _Known,
    k: int,
    exclude_seen: bool,
) -> Iterator[tuple[np.ndarray, dict[str, pl.Series]]]:
    """The rows of an answer, some users at a time: places in `histories.users`, and the other columns."""
    ids, names = _ids(vocabulary, histories.numeric), vocabulary.frame["name"]
    size = max(1, SCORES // len(vocabulary))
    for begin in range(0, max(1, len(known.rows)), size):
        rows, ends = known.rows[begin : begin + size], known.offsets[begin : begin + size + 1]
        indices, scores = np.zeros((0, k), np.int64), np.zeros((0, k), np.float32)
        if len(rows):
            pieces = [known.items[start:end] for start, end in itertools.pairwise(ends)]
            best = network.top_k(pieces, k, exclude_seen=exclude_seen, exclude=vocabulary.untrained)
            indices, scores = best[0].cpu().numpy(), best[1].float().cpu().numpy()
        there = np.isfinite(scores)  # fewer than k items may be left
        columns = {
            "item_id": ids.gather(indices[there] - 1),
            "score": pl.Series(scores[there]),
            "rank": pl.Series(np.broadcast_to(np.arange(1, k + 1), there.shape)[there]),
        }
        if names.null_count() < len(names):
            columns["name"] = names.gather(indices[there])
        yield np.repeat(rows, there.sum(1)), columns


def _from_frame(frame: Any, user: str | None, item: str | None, time: str | None) -> Histories:
    frame, _ = plain_frame(frame, "histories")
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    library = type(frame).__module__.partition(".")[0]
    table: Any = frame if library in ("pandas", "polars") else pl.DataFrame(frame)
    names = [bare(str(name)) for name in table.columns]
    given = {"user": user, "item": item, "time": time, "skip_bad": True}
    if len(table):
        read = read_frame(table, LogData.model_construct(**given), "histories")  # any text names a column
        roles, events, skipped = read.reading["columns"], read.frame, len(read.skipped)
    else:
        roles, skipped = choose_event_columns(names, "histories", user, item, time, prefix=""), 0
        events = pl.DataFrame(schema={"user": pl.String, "item": pl.String, "row": pl.UInt32})
    events = events.with_columns(first=pl.col("row").min().over("user"))
    order = [one for one in ("first", "time") if one in events.columns]
    events = events.sort(order, maintain_order=True)
    runs = events["first"].rle().struct.unnest()
    (codes, ids), first = codes_of(events["item"]), runs["value"].to_numpy()
    held = (ids, codes, np.append(0, np.cumsum(runs["len"].to_numpy())).astype(np.int64))
    places = names.index(roles["user"]), names.index(roles["item"])
    if library == "pandas":
        users, items = (table.iloc[:, place].array for place in places)
        numeric = {"i": pl.Int64(), "u": pl.Int64(), "f": pl.Float64()}.get(items.dtype.kind)
        return Histories(users.take(first), *held, numeric, skipped, library, items.dtype)
    users, items = (table.to_series(place) for place in places)
    inner: Any = items.dtype.inner if isinstance(items.dtype, pl.List | pl.Array) else items.dtype
    numeric = inner if inner.is_numeric() else None
    return Histories(users.gather(first), *held, numeric, skipped, library)


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


def _warn(histories: Histories, known: np.ndarray, vocabulary: Vocabulary) -> None:
    """One warning about all that is left out; `known` is the number of known items of each user."""
    problems, total = [], len(histories.items)
    if histories.skipped:
        problems.append(f"rows without a user, an item or a time: {histories.skipped:,}")
    if unknown := total - int(known.sum()):
        problems.append(f"events of items that the model does not know: {unknown:,} of {total:,}")
        if unknown == total:
            problems[-1] += f" (its ids are such as {', '.join(map(repr, vocabulary.frame['id'][1:4]))})"
    if without := int((known == 0).sum()):
        problems.append(f"users without any known item: {without:,} of {len(known):,}")
    if problems:
        warnings.warn(f"left out: {'; '.join(problems)}", FarziWarning, stacklevel=6)
