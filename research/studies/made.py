"""Made-up logs of any size, length and imbalance."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from farzi.data import Data, Holdout, Log, Sequences, Vocabulary
from research.studies.bench import Bench

FOLLOWS = 0.6
"""Probability that the next event is the one that follows this one; else it is drawn by popularity."""


@dataclass(frozen=True)
class MadeLog:
    """Users who walk over items: mostly from each to its successor, else to any item by popularity.

    The successors are a random permutation of the items. The last event of each user is the test, the one
    before it the validation. Popularity is proportional to rank^-imbalance (Zipf).

    Attributes:
        users: how many.
        items: V − 1.
        length: events of each user, at least 4.
        imbalance: Zipf's exponent; 0 makes all items alike.
        seed: of all draws.
    """

    users: int = 500
    items: int = 1000
    length: int = 30
    imbalance: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.users, self.items) < 2 or self.length < 4:
            raise ValueError("a made-up log has at least 2 users, 2 items and 4 events for each user")

    def __call__(self, bench: Bench, repeat: int) -> Data:
        """The log, the same in each repetition."""
        return self.dataset()

    def dataset(self) -> Log:
        """The log, split."""
        rng = np.random.default_rng(self.seed)
        popularity = np.arange(1, self.items + 1, dtype=float) ** -self.imbalance
        bounds = np.cumsum(popularity / popularity.sum())
        follower = rng.permutation(self.items)
        walks = np.empty((self.users, self.length), np.int64)
        walks[:, 0] = self._drawn(bounds, rng)
        for step in range(1, self.length):
            stays = rng.random(self.users) < FOLLOWS
            walks[:, step] = np.where(stays, follower[walks[:, step - 1]], self._drawn(bounds, rng))
        walks += 1  # 0 is padding
        names = tuple(f"u{user}" for user in range(self.users))

        def part(begin: int, end: int) -> Sequences:
            return Sequences.from_lists(list(walks[:, begin:end]), names)

        n = self.length
        valid, test = Holdout(part(0, n - 2), part(n - 2, n - 1)), Holdout(part(0, n - 1), part(n - 1, n))
        facts = {"name": "made", "users": self.users, "items": self.items, "events": walks.size}
        return Log("made", self._vocabulary(walks), part(0, n - 2), valid, test, facts)

    def _drawn(self, bounds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.minimum(np.searchsorted(bounds, rng.random(self.users)), self.items - 1)

    def _vocabulary(self, walks: np.ndarray) -> Vocabulary:
        frame = pl.DataFrame(
            {
                "index": np.arange(self.items + 1, dtype=np.uint32),
                "id": ["", *(f"i{item}" for item in range(1, self.items + 1))],
                "name": pl.Series([None] * (self.items + 1), dtype=pl.String),
                "count": np.bincount(walks.reshape(-1), minlength=self.items + 1).astype(np.uint32),
            }
        )
        return Vocabulary(frame)
