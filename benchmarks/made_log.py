"""A made-up log of a given size, for benchmarks that need no real events."""

import numpy as np
import polars as pl

from farzi.data import Holdout, Log, Sequences, Vocabulary
from farzi.recipe import variants as v

JUMPS = 0.3
"""The share of events that are drawn by popularity; the others follow the event before."""


def made_log(users: int, items: int, events: int, seed: int = 0) -> Log:
    """`events` on average for each user; the last one is the test, the one before the validation.

    An event is the item after the one before (in a ring), or is drawn by popularity (1 / rank).

    Args:
        users: how many.
        items: how many; V is one more.
        events: a user's, on average. The spread is that of a geometric distribution, from 5 events on.
        seed: of all draws.
    """
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, items + 1)
    rows = []
    for length in 5 + rng.geometric(1 / max(1, events - 5), users):
        row = rng.choice(items, length, p=share / share.sum())
        jumps = rng.random(length) < JUMPS
        jumps[0] = True
        last = np.maximum.accumulate(np.where(jumps, np.arange(length), 0))  # where each walk began
        rows.append(1 + (row[last] + np.arange(length) - last) % items)
    names = tuple(f"u{user}" for user in range(users))
    counts = np.bincount(np.concatenate([row[:-2] for row in rows]), minlength=items + 1)
    frame = pl.DataFrame(
        {
            "index": np.arange(items + 1, dtype=np.uint32),
            "id": ["", *(f"i{item}" for item in range(1, items + 1))],
            "name": pl.Series([None] * (items + 1), dtype=pl.String),
            "count": counts.astype(np.uint32),
        }
    )

    def part(begin: int | None, end: int | None) -> Sequences:
        return Sequences.from_lists([row[begin:end] for row in rows], names)

    valid, test = Holdout(part(None, -2), part(-2, -1)), Holdout(part(None, -1), part(-1, None))
    return Log("made-up", Vocabulary(frame), part(None, -2), valid, test, {}, v.LogData())
