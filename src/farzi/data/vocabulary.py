"""The vocabulary: a table of all items or tokens with index, original id, readable name and count."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from farzi.data.sorting import codes_of
from farzi.data.tables import count_rows, read_parquet
from farzi.errors import FarziError
from farzi.files import write_bytes_atomic

SCHEMA = {"index": pl.UInt32, "id": pl.String, "name": pl.String, "count": pl.UInt32}


class Vocabulary:
    """V items; index 0 is padding (id "", no name, count 0).

    Items are in the order of falling count in the whole log, ties by id; the tokens of a text in the order of
    its tokenizer.

    Attributes:
        frame: columns `index` (UInt32), `id` (String), `name` (String or null) and `count` (UInt32), V rows.
            The count is that of training events, 0 for an item that is never trained on.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        """Wrap a valid table; `from_events`, `from_tokens` and `load` make one."""
        if dict(frame.schema) != SCHEMA:
            raise ValueError(f"the frame must have the columns {SCHEMA}, got {dict(frame.schema)}")
        self.frame = frame
        self._index = {id: index for index, id in enumerate(frame["id"].to_list())}

    @classmethod
    def from_events(cls, frame: pl.DataFrame, names: pl.DataFrame | None = None) -> "Vocabulary":
        """All items of a log (column `item`), with the names of a table with the columns `id` and `name`."""
        codes, ids = codes_of(frame["item"])
        items = pl.DataFrame({"id": ids, "count": np.bincount(codes)})
        items = items.sort(["count", "id"], descending=[True, False])
        if names is None:
            names = pl.DataFrame(schema={"id": pl.String, "name": pl.String})
        items = items.join(names.unique("id", keep="first"), on="id", how="left", maintain_order="left")
        return cls.from_tokens(items["id"].to_list(), items["name"].to_list(), items["count"].to_list())

    @classmethod
    def from_tokens(
        cls, ids: Sequence[str], names: Sequence[str | None], counts: Sequence[int] | np.ndarray
    ) -> "Vocabulary":
        """The tokens of a text in the order of their indices, from 1 on."""
        columns = (range(len(ids) + 1), ["", *ids], [None, *names], [0, *map(int, counts)])
        return cls(pl.DataFrame(dict(zip(SCHEMA, columns)), schema=SCHEMA))

    def with_counts(self, counts: np.ndarray) -> "Vocabulary":
        """The same items with other counts, (V,)."""
        return Vocabulary(self.frame.with_columns(pl.Series("count", counts, pl.UInt32)))

    @property
    def untrained(self) -> np.ndarray:
        """The indices of items that are never trained on, int64; padding is not one of them."""
        return np.flatnonzero(self.frame["count"][1:].to_numpy() == 0) + 1

    def __len__(self) -> int:
        return len(self.frame)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.frame.equals(other.frame)

    def encode(
        self, ids: Iterable[str] | pl.Series, *, errors: Literal["raise", "ignore"] = "raise"
    ) -> np.ndarray:
        """The indices of original ids, which are text, also where they look like numbers: int64, (n,).

        Args:
            ids: in any order.
            errors: "ignore" leaves out ids that are not in the vocabulary: there are fewer indices.

        Raises:
            FarziError: an id is not in the vocabulary, unless they are ignored; or `ids` is a single text.
        """
        if isinstance(ids, str):
            raise FarziError(f"a list of item ids is needed, not the text {ids!r}; write [{ids!r}]")
        ids = list(ids)
        indices = np.fromiter((self._index.get(id, 0) for id in ids), np.int64, count=len(ids))
        if errors == "ignore":
            return indices[indices > 0]
        if not indices.all():
            unknown = ids[int(np.flatnonzero(indices == 0)[0])]
            known = f"; ids are text here, as in {str(unknown)!r}" if str(unknown) in self._index else ""
            raise FarziError(
                f"item {unknown!r} is not among the {len(self) - 1:,} items of the vocabulary{known}"
            )
        return indices

    def encode_known(self, ids: Iterable[str] | pl.Series) -> np.ndarray:
        """The indices of original ids, 0 for those that are not in the vocabulary: int64, (n,)."""
        return np.array([self._index.get(id, 0) for id in ids], np.int64)

    def appended(self, ids: Sequence[str]) -> "Vocabulary":
        """The same items at the same indices, then further ones, without a name and with a count of 0."""
        first = len(self)
        columns = (range(first, first + len(ids)), ids, [None] * len(ids), [0] * len(ids))
        return Vocabulary(pl.concat([self.frame, pl.DataFrame(dict(zip(SCHEMA, columns)), schema=SCHEMA)]))

    def label(self, index: int) -> str:
        """The name of an item, or its id if it has none; "(padding)" for index 0."""
        if index == 0:
            return "(padding)"
        return self.frame["name"][int(index)] or self.frame["id"][int(index)]

    def save(self, path: str | Path) -> None:
        """Write the table as Parquet."""
        buffer = io.BytesIO()
        self.frame.write_parquet(buffer, compression="zstd")
        write_bytes_atomic(path, buffer.getvalue())

    @classmethod
    def load(cls, path: str | Path, size: int | None = None) -> "Vocabulary":
        """Read what `save` wrote; `size` is V, if it is known.

        Raises:
            FarziError: the file is missing or damaged, or of another size.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise FarziError(f"{path}: cannot be read ({error.strerror})") from None
        if size is not None and (rows := count_rows(data, str(path))) != size:  # before so many are read
            raise FarziError(f"{path}: has {rows:,} rows, not {size:,}, one for each event and for padding")
        frame = read_parquet(data, str(path))
        if dict(frame.schema) != SCHEMA:
            raise FarziError(
                f"{path}: not a vocabulary: columns {', '.join(frame.columns)}, not {', '.join(SCHEMA)}"
            )
        vocabulary = cls(frame)
        try:
            vocabulary.check()
        except ValueError as error:
            raise FarziError(f"{path}: {error}") from None
        return vocabulary

    def check(self) -> None:
        """Raise ValueError where indices do not count from 0, or ids are missing or not unique."""
        ids, places = self.frame["id"].to_list(), self.frame["index"].to_list()
        if ids[:1] != [""] or None in ids or len(set(ids)) < len(ids) or places != list(range(len(ids))):
            raise ValueError("not a vocabulary: its indices do not count from 0, or its ids are not unique")
