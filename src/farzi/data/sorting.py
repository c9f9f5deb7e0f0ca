"""Events as one table of arrays: filtered, sorted by user and time, ties broken by a fixed rule."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from farzi.data.sequences import Sequences, offsets_of


@dataclass(frozen=True, eq=False)
class SortedEvents:
    """All n events of a log, by user (in the order of ids), each user's in the order of time.

    Attributes:
        users: ids of the users, sorted.
        user: uint32, positions in `users`, rising.
        item: uint32, indices in the vocabulary.
        time: int64 or float64, or None if the log has no times.
        row: uint32, the line or row of each event in its source.
    """

    users: tuple[str, ...]
    user: np.ndarray
    item: np.ndarray
    time: np.ndarray | None
    row: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Events of each user, int64, (users,)."""
        return np.bincount(self.user, minlength=len(self.users))

    @property
    def tied(self) -> np.ndarray:
        """Whether each event shares its time with another one of its user: bool, (n,)."""
        same = self.same_time  # not kept: a byte for each event counts while a long log is split
        return np.append(same, False) | np.append(False, same)

    @property
    def same_time(self) -> np.ndarray:
        """Whether each event but the last has the user and the time of the next one: bool, (n - 1,)."""
        same = self.user[1:] == self.user[:-1]
        return same if self.time is None else same & (self.time[1:] == self.time[:-1])

    def counts(self, mask: np.ndarray) -> np.ndarray:
        """The events of each user where `mask` (n,) holds: int64, (users,)."""
        starts = np.minimum(np.cumsum(self.lengths) - self.lengths, len(self) - 1)
        return np.add.reduceat(mask.view(np.int8), starts, dtype=np.int64) * (self.lengths > 0)

    def filter(self, mask: np.ndarray) -> "SortedEvents":
        """The events where `mask` holds; `users` stays as it is."""
        time = None if self.time is None else self.time[mask]
        return SortedEvents(self.users, self.user[mask], self.item[mask], time, self.row[mask])

    def sequences(self, mask: np.ndarray, counts: np.ndarray, users: np.ndarray | None = None) -> Sequences:
        """The events where `mask` (n,) holds, of which users have `counts`: one sequence for each of `users`,
        which rise (default: all with any).
        """
        users = np.flatnonzero(counts) if users is None else users
        if len(users) < np.count_nonzero(counts):
            wanted = np.zeros(len(counts), bool)
            wanted[users] = True
            mask = mask & wanted[self.user]
        ids = self.users if len(users) == len(counts) else tuple(self.users[user] for user in users)
        return Sequences(self.item[mask].astype(np.int64), offsets_of(counts[users]), ids)


def filter_rare(frame: pl.DataFrame, min_user_events: int, min_item_events: int) -> pl.DataFrame:
    """The events that remain when users and items with too few events are removed until there are none."""
    least = {"user": min_user_events, "item": min_item_events}
    codes = {role: codes_of(frame[role])[0] for role in least if least[role] > 1}
    keep: np.ndarray | None = None
    while True:
        before = keep
        for role, code in codes.items():
            counts = np.bincount(code if keep is None else code[keep], minlength=code.max() + 1)
            if ((counts > 0) & (counts < least[role])).any():
                enough = (counts >= least[role])[code]
                keep = enough if keep is None else keep & enough
        if keep is before:
            return frame if keep is None else frame.filter(keep)


def sort(frame: pl.DataFrame, items: np.ndarray, ties: str) -> SortedEvents:
    """Sort by user, time, tie and line.

    Args:
        frame: columns `user`, `item`, `row` and perhaps `time`; without it the order of the file holds. Rows
            are in the order of the file.
        items: the vocabulary index of each row.
        ties: order of a user's events at the same time: "file" (as there) or "random" (by `tie_keys`).
    """
    user, users = codes_of(frame["user"])
    names, row, items = tuple(users.to_list()), frame["row"].to_numpy(), items.astype(np.uint32, copy=False)
    timed = "time" in frame.columns
    time = frame["time"].to_numpy() if timed else np.zeros(len(frame), np.int64)
    low = time.min()
    bits = (int(time.max()) - int(low)).bit_length() if time.dtype == np.int64 else 63
    shuffled = timed and ties == "random"
    if shuffled or bits + len(names).bit_length() > 63:
        keys = [tie_keys(frame["user"], frame["item"])] if shuffled else []
        order = np.lexsort([*keys, time, user])  # stable; the last key is the first criterion
        user, items, time, row = user[order], items[order], time[order], row[order]
    else:  # user and time as one number, which polars sorts on all cores
        key = user.astype(np.int64)
        key <<= bits
        key += time - low
        table = pl.DataFrame({"key": key, "item": items, "row": row})
        del user, time, key, items, row
        table = table.sort("key", maintain_order=True)
        items, row = table["item"].to_numpy(), table["row"].to_numpy()
        key = table["key"].to_numpy()
        user, time = (key >> bits).astype(np.uint32), (key & ((1 << bits) - 1)) + low
    return SortedEvents(names, user, items, time if timed else None, row)


def tie_keys(users: pl.Series, items: pl.Series) -> np.ndarray:
    """A fixed pseudo-random number for each (user, item): uint64, (n,).

    BLAKE2b of the two ids' UTF-8 bytes, mixed by SplitMix64 (Steele, Lea & Flood 2014): the same on every
    machine and in every version, whatever the order of the file.
    """
    return _splitmix(_hashes(users) + _splitmix(_hashes(items)))


def codes_of(ids: pl.Series) -> tuple[np.ndarray, pl.Series]:
    """The position of each id among the sorted distinct ids, uint32 (n,), and these, String.

    For ids that were `coded` it takes no search.
    """
    ids = coded(ids)
    assert isinstance(ids.dtype, pl.Enum)
    codes, distinct = ids.to_physical().to_numpy(), ids.dtype.categories
    present = np.bincount(codes, minlength=len(distinct)) > 0
    if not present.all():  # some were filtered out
        codes, distinct = (np.cumsum(present, dtype=np.uint32) - 1)[codes], distinct.filter(present)
    return codes, distinct


def coded(ids: pl.Series) -> pl.Series:
    """Ids as an Enum of their sorted distinct values."""
    return ids if ids.dtype == pl.Enum else ids.cast(pl.Enum(ids.unique().sort()))


def _hashes(ids: pl.Series) -> np.ndarray:
    codes, distinct = codes_of(ids)
    digests = b"".join(hashlib.blake2b(id.encode(), digest_size=8).digest() for id in distinct)
    return np.frombuffer(digests, "<u8").astype(np.uint64)[codes]


def _splitmix(x: np.ndarray) -> np.ndarray:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
