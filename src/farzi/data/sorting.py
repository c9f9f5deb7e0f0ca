"""Events as one table of arrays: filtered, sorted by user and time, ties broken by a fixed rule."""

import hashlib
from dataclasses import dataclass

import numpy as np
import polars as pl

from farzi.data.sequences import Sequences, offsets_of


@dataclass(frozen=True, eq=False)
class SortedEvents:
    """All n events of a log, by user (in the order of ids), each user's in the order of time.

    Attributes:
        users: ids of the users, sorted.
        user: int64, positions in `users`, rising.
        item: int64, indices in the vocabulary.
        time: int64 or float64, or None if the log has no times.
        row: int64, the line or row of each event in its source.
    """

    users: tuple[str, ...]
    user: np.ndarray
    item: np.ndarray
    time: np.ndarray | None
    row: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    @property
    def lengths(self) -> np.ndarray:
        """Events of each user, int64, (users,)."""
        return np.bincount(self.user, minlength=len(self.users))

    @property
    def from_end(self) -> np.ndarray:
        """The number of later events of the same user: int64, (n,); 0 for the last one."""
        return np.cumsum(self.lengths)[self.user] - 1 - np.arange(len(self))

    def filter(self, mask: np.ndarray) -> "SortedEvents":
        """The events where `mask` holds; `users` stays as it is."""
        time = None if self.time is None else self.time[mask]
        return SortedEvents(self.users, self.user[mask], self.item[mask], time, self.row[mask])

    def sequences(self, mask: np.ndarray, users: np.ndarray | None = None) -> Sequences:
        """The events where `mask` (n,) holds, one sequence for each of `users` (default: all with any)."""
        counts = np.bincount(self.user[mask], minlength=len(self.users))
        sequences = Sequences(self.item[mask], offsets_of(counts), self.users)
        return sequences.select(np.flatnonzero(counts) if users is None else users)


def filter_rare(frame: pl.DataFrame, min_user_events: int, min_item_events: int) -> pl.DataFrame:
    """The events that remain when users and items with too few events are removed until there are none."""
    user, item = _codes(frame["user"])[0], _codes(frame["item"])[0]
    keep = np.ones(len(frame), bool)
    while True:
        enough = np.bincount(user[keep], minlength=len(frame))[user] >= min_user_events
        enough &= np.bincount(item[keep], minlength=len(frame))[item] >= min_item_events
        if not (keep & ~enough).any():
            return frame.filter(keep)
        keep &= enough


def sort(frame: pl.DataFrame, items: np.ndarray, ties: str) -> SortedEvents:
    """Sort by user, time, tie and line.

    Args:
        frame: columns `user`, `item`, `row` and perhaps `time`; without it the order of the file holds.
        items: int64, the vocabulary index of each row.
        ties: order of a user's events at the same time: "file" (as there) or "random" (by `tie_keys`).
    """
    user, users = _codes(frame["user"])
    row = frame["row"].to_numpy().astype(np.int64)
    time = frame["time"].to_numpy() if "time" in frame.columns else None
    keys = [row]  # for lexsort: the last key is the first criterion
    if time is not None:
        keys += [tie_keys(frame["user"], frame["item"]), time] if ties == "random" else [time]
    order = np.lexsort([*keys, user])
    time = None if time is None else time[order]
    return SortedEvents(tuple(users), user[order], items[order], time, row[order])


def tie_keys(users: pl.Series, items: pl.Series) -> np.ndarray:
    """A fixed pseudo-random number for each (user, item): uint64, (n,).

    BLAKE2b of the two ids' UTF-8 bytes, mixed by SplitMix64 (Steele, Lea & Flood 2014): the same on every
    machine and in every version, whatever the order of the file.
    """
    return _splitmix(_hashes(users) + _splitmix(_hashes(items)))


def _codes(ids: pl.Series) -> tuple[np.ndarray, list[str]]:
    """The position of each id among the sorted distinct ids, int64 (n,), and these."""
    unique = ids.unique().sort()
    return ids.cast(pl.Enum(unique)).to_physical().to_numpy().astype(np.int64), unique.to_list()


def _hashes(ids: pl.Series) -> np.ndarray:
    positions, unique = _codes(ids)
    digests = b"".join(hashlib.blake2b(id.encode(), digest_size=8).digest() for id in unique)
    return np.frombuffer(digests, "<u8").astype(np.uint64)[positions]


def _splitmix(x: np.ndarray) -> np.ndarray:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
