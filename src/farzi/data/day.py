"""New events of a log whose vocabulary is known: a day's, beside what their users did before."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from farzi.data.events import Events, read_events, read_frame
from farzi.data.sequences import Sequences
from farzi.data.sorting import SortedEvents, codes_of, sort
from farzi.data.vocabulary import Vocabulary
from farzi.errors import FarziError
from farzi.recipe.variants import DataVariant, LogData

READ = ("user", "item", "time", "rating", "min_rating", "where", "time_format", "missing", "skip_bad")
"""Settings of a log that also say how a frame of its new events is read."""
FILES = (*READ, "separator", "columns", "format", "quotes", "encoding")
"""The same for a file."""


@dataclass(frozen=True, eq=False)
class Day:
    """New events, over a vocabulary that begins with the known one.

    Attributes:
        name: the file or the frame.
        vocabulary: the known items at their indices, then the new ones, the most frequent first; counts are
            those of the known vocabulary, 0 for new items.
        known: V of the known vocabulary, padding included; new items have the indices from here on.
        sequences: of each user of the day the events before it, as far as they are known, then the day's.
        before: how many events of each sequence are from before the day, int64, (n,).
        left_out: events of the day whose items are unknown and were not appended.
        unknown_before: earlier events whose items are unknown; they are left out.
    """

    name: str
    vocabulary: Vocabulary
    known: int
    sequences: Sequences
    before: np.ndarray
    left_out: int = 0
    unknown_before: int = 0

    @property
    def new_items(self) -> int:
        """Items that the known vocabulary does not have."""
        return len(self.vocabulary) - self.known

    @property
    def events(self) -> int:
        """Events of the day itself."""
        return len(self.sequences.items) - int(self.before.sum())

    def recent(self, further: int) -> Sequences:
        """Each user's events of the day, with up to `further` earlier events before them."""
        lengths = self.sequences.lengths - self.before + np.minimum(self.before, further)
        own = [one[len(one) - n :] for one, n in zip(self.sequences, lengths)]
        return Sequences.from_lists(own, self.sequences.users)


def read_day(
    source: Any,
    vocabulary: Vocabulary,
    settings: DataVariant | None = None,
    *,
    history: Any = None,
    append: bool = True,
) -> Day:
    """Read new events. Nothing is filtered: users need no other events, and items no other users.

    Args:
        source: a file or a frame, with the columns of a log.
        vocabulary: the known items.
        settings: of the log that the events continue: columns and the like are read as they were there.
        history: a file or a frame with events before the day. Only those of the day's users count, and of
            them only those before the user's first event of the day. Columns are read as those of the day.
        append: whether unknown items are appended to the vocabulary; if not, their events are left out.

    Raises:
        FarziError: the events cannot be read, or there are none.
    """
    events = _read(source, settings)
    codes, ids = codes_of(events.frame["item"])
    known = vocabulary.encode_known(ids)
    index, left_out = known.copy(), 0
    extended = vocabulary
    if append:
        extended, index = _extended(vocabulary, ids, known, np.bincount(codes, minlength=len(ids)))
    else:
        left_out = int((known[codes] == 0).sum())
        if left_out == len(codes):
            raise FarziError(
                f"{events.source}: none of its items is among the {len(vocabulary) - 1:,} of the summary, "
                f"whose ids are such as {', '.join(map(repr, vocabulary.frame['id'][1:4]))}"
            )
    log = sort(events.frame, index[codes].astype(np.uint32), "file")
    earlier, unknown_before = _earlier(history, settings, vocabulary, log, events)
    log = log.filter(log.item > 0)
    lists, users, before = [], [], []
    bounds = np.searchsorted(log.user, np.arange(len(log.users) + 1))
    for place, user in enumerate(log.users):
        own = log.item[bounds[place] : bounds[place + 1]].astype(np.int64)
        if len(own):
            past = earlier.get(user, np.empty(0, np.int64))
            lists.append(np.concatenate([past, own]))
            users.append(user)
            before.append(len(past))
    sequences = Sequences.from_lists(lists, users)
    sizes = (len(vocabulary), sequences, np.array(before, np.int64), left_out, unknown_before)
    return Day(events.source, extended, *sizes)


def _read(source: Any, settings: DataVariant | None) -> Events:
    """The events of a file or a frame, read as those of a log with these settings."""
    file = isinstance(source, str | Path)
    given = settings if isinstance(settings, LogData) else LogData()
    wanted = FILES if file else READ
    chosen = LogData().model_copy(update={name: getattr(given, name) for name in wanted})
    if not file:
        return read_frame(source, chosen, "events")
    if not Path(source).is_file():
        raise FarziError(f"{source or 'an empty path'}: no such file of events")
    return read_events(source, chosen)


def _extended(
    vocabulary: Vocabulary, ids: pl.Series, known: np.ndarray, counts: np.ndarray
) -> tuple[Vocabulary, np.ndarray]:
    """The vocabulary with the unknown ids appended, the most frequent first, and the index of each id."""
    new = np.flatnonzero(known == 0)
    new = new[np.argsort(-counts[new], kind="stable")]  # ids are sorted: ties stay in their order
    index = known.copy()
    index[new] = len(vocabulary) + np.arange(len(new))
    return vocabulary.appended([ids[int(one)] for one in new]), index


def _earlier(
    history: Any, settings: DataVariant | None, vocabulary: Vocabulary, day: SortedEvents, events: Events
) -> tuple[dict[str, np.ndarray], int]:
    """Earlier events of the day's users, by user, and how many of them have unknown items."""
    if history is None:
        return {}, 0
    read = _read(history, settings)
    codes, ids = codes_of(read.frame["item"])
    past = sort(read.frame, vocabulary.encode_known(ids).astype(np.uint32)[codes], "file")
    first: dict[str, Any] = dict.fromkeys(day.users)
    if day.time is not None and past.time is not None:
        if (events.dated, events.ticks) != (read.dated, read.ticks):
            raise FarziError(
                f"{read.source}: its times are not written as those of {events.source}, so that they cannot "
                "be compared"
            )
        places = np.searchsorted(day.user, np.arange(len(day.users)))
        first = dict(zip(day.users, day.time[places]))
    found, unknown = {}, 0
    bounds = np.searchsorted(past.user, np.arange(len(past.users) + 1))
    for place, user in enumerate(past.users):
        if user in first:
            own = slice(bounds[place], bounds[place + 1])
            items = past.item[own].astype(np.int64)
            if first[user] is not None and past.time is not None:
                items = items[past.time[own] < first[user]]
            unknown += int((items == 0).sum())
            found[user] = items[items > 0]
    return found, unknown
