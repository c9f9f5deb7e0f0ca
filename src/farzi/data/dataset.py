"""From settings to sequences: read, filter, order, split, and say what was done."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from farzi.data.catalog import CATALOG, LOGS
from farzi.data.describe import log_facts, order_facts, skipped_facts
from farzi.data.events import Events
from farzi.data.order import Log, core, sort
from farzi.data.reading import read_events, read_names
from farzi.data.sequences import Holdout, Sequences
from farzi.data.splits import TEST, TRAIN, VALID, Split
from farzi.data.vocabulary import Vocabulary
from farzi.errors import FarziError
from farzi.recipe.variants import LogData


@dataclass(frozen=True, eq=False)
class Dataset:
    """A log ready for training and evaluation.

    Attributes:
        name: the named data set or the file.
        vocabulary: all items left after the filters, those that are never trained on included.
        train: the training events of each user who has some.
        valid: training events as histories, validation events as targets.
        test: training and validation events as histories, test events as targets.
        facts: what `describe` gives: JSON values in a stable order.
    """

    name: str
    vocabulary: Vocabulary
    train: Sequences
    valid: Holdout
    test: Holdout
    facts: dict[str, Any]

    @property
    def pieces(self) -> Sequences:
        """What small sets of real sequences are picked from: the users' training events."""
        return self.train


def load_dataset(settings: LogData) -> Dataset:
    """Read a named data set or a file, filter, order and split it as `settings` say.

    Where `settings.ties`, `settings.unseen` or `settings.min_item_events` are None, a named data set brings
    its own rule for ties and rare items and keeps unseen items; a file keeps its order and its rare items and
    refuses unseen ones.

    Raises:
        FarziError: the data cannot be had or read, or too little of them is left.
    """
    split: Split = settings.split.build()
    events = load_events(settings)
    entry = LOGS.get(settings.source)
    name = settings.source if entry else events.source
    ties = settings.ties or ("file" if entry is None else entry.ties)
    because = None if entry is None or settings.ties else entry.ties_because
    unseen = settings.unseen or ("error" if entry is None else "keep")
    at_least = (
        settings.min_user_events,
        settings.min_item_events or (1 if entry is None else entry.min_item_events),
    )

    frame = _filtered(events, *at_least)
    vocabulary = Vocabulary.from_events(frame, events.names)
    log = sort(frame, vocabulary.encode(frame["item"]), ties)
    facts = {
        "name": name,
        **log_facts(log, events.dated),
        **order_facts(log, vocabulary.frame["id"].to_list(), ties, because),
        "filters": _filter_facts(events, frame, *at_least),
        "skipped": skipped_facts(events),
    }
    parts = split.parts(log)
    log, parts, unseen_facts = _unseen(log, parts, unseen, vocabulary, events.source)
    train = log.sequences(parts == TRAIN)
    valid = _holdout(log, parts < VALID, parts == VALID)
    test = _holdout(log, parts < TEST, parts == TEST)
    for what, part in {"training": train, "validation": valid, "test": test}.items():
        if len(part) == 0:
            raise FarziError(f"{events.source}: nobody has usable {what} events under this split ({split})")
    facts["split"] = {
        "rule": str(split),
        "train": {"users": len(train), "events": len(train.items)},
        "valid": _held_facts(valid, parts == VALID),
        "test": _held_facts(test, parts == TEST),
        "users_never_held_out": len(log.users) - len(np.unique(log.user[parts != TRAIN])),
    }
    facts["unseen"] = unseen_facts
    return Dataset(name, vocabulary, train, valid, test, facts)


def load_events(settings: LogData) -> Events:
    """The events of a named data set or a file, before filters, with names from a side file if one is given.

    Raises:
        FarziError: the data cannot be had or read, or an option does not apply to them.
    """
    entry = LOGS.get(settings.source)
    columns = {"user": settings.user, "item": settings.item, "time": settings.time}
    if entry is None:
        place = settings.file or settings.source
        events = read_events(place, **columns, skip_bad=settings.skip_bad, also=CATALOG)
    else:
        for role, column in columns.items():
            if column is not None:
                raise FarziError(f"data.{role} is for files: the columns of {settings.source} are known")
        events = entry.events(settings.file)
    return events if settings.names is None else replace(events, names=read_names(settings.names))


def _filtered(events: Events, user_events: int, item_events: int) -> pl.DataFrame:
    users = events.frame["user"].n_unique()
    if users < 2:
        raise FarziError(f"{events.source}: has events of one user only; at least 2 are needed")
    frame = core(events.frame, user_events, item_events)
    if frame["user"].n_unique() < 2:
        raise FarziError(
            f"{events.source}: fewer than 2 of its {users:,} users are left when a user needs at least "
            f"{user_events} events and an item {item_events}; "
            "lower data.min_user_events or data.min_item_events"
        )
    return frame


def _holdout(log: Log, known: np.ndarray, held: np.ndarray) -> Holdout:
    """Users who have both a history and targets."""
    n = len(log.users)
    both = (np.bincount(log.user[known], minlength=n) > 0) & (np.bincount(log.user[held], minlength=n) > 0)
    of = np.flatnonzero(both)
    return Holdout(log.sequences(known, of), log.sequences(held, of))


def _unseen(
    log: Log, parts: np.ndarray, rule: str, vocabulary: Vocabulary, source: str
) -> tuple[Log, np.ndarray, dict[str, Any]]:
    """Treat the held-out events of items that no training event has."""
    trained = np.zeros(len(vocabulary), bool)
    trained[log.item[parts == TRAIN]] = True
    lost = ~trained[log.item]
    facts = {
        "rule": rule,
        "items": len(np.unique(log.item[lost])),
        "valid_events": int((lost & (parts == VALID)).sum()),
        "test_events": int((lost & (parts == TEST)).sum()),
    }
    if rule == "drop":
        return log.filter(~lost), parts[~lost], facts
    if rule == "error" and lost.any():
        first = int(np.flatnonzero(lost)[np.argmin(log.row[lost])])
        raise FarziError(
            f"{source}:{log.row[first]}: item {vocabulary.frame['id'][int(log.item[first])]!r} is held out "
            f"but never trained on, like {lost.sum():,} of the {(parts != TRAIN).sum():,} held-out events; "
            "data.unseen=keep counts them as misses, data.unseen=drop leaves them out"
        )
    return log, parts, facts


def _filter_facts(events: Events, frame: pl.DataFrame, user_events: int, item_events: int) -> dict[str, Any]:
    removed = {what: events.frame[what].n_unique() - frame[what].n_unique() for what in ("user", "item")}
    return {
        "rule": f"users with at least {user_events} events and items with at least {item_events}, "
        "removed again and again until all have them",
        "users_removed": removed["user"],
        "items_removed": removed["item"],
        "events_removed": len(events) - len(frame),
    }


def _held_facts(part: Holdout, held: np.ndarray) -> dict[str, int]:
    """Sizes, and the events that cannot be used because nothing is known of their user before."""
    used = len(part.targets.items)
    return {"users": len(part), "events": used, "events_without_history": int(held.sum()) - used}
