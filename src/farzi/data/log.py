"""A log ready for training and evaluation: its events filtered, sorted, split and described."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from farzi.data.describe import log_facts, order_facts, skipped_facts
from farzi.data.events import Events
from farzi.data.sequences import Holdout, Sequences
from farzi.data.sorting import SortedEvents, filter_rare, sort
from farzi.data.splits import TEST, TRAIN, VALID, LeaveOneOut, Split
from farzi.data.tables import setting
from farzi.data.vocabulary import Vocabulary
from farzi.errors import FarziError
from farzi.recipe.variants import LogData


@dataclass(frozen=True, eq=False)
class Log:
    """A log ready for training and evaluation.

    Attributes:
        name: the named data set, the file or the frame.
        vocabulary: all items that remain after the filters, those that are never trained on included.
        train: the training events of each user who has some.
        valid: training events as histories, validation events as targets.
        test: training and validation events as histories, test events as targets.
        facts: JSON values in a stable order; `describe` returns them.
        settings: the `data` of a recipe that reads it; None if it was made otherwise.
    """

    name: str
    vocabulary: Vocabulary
    train: Sequences
    valid: Holdout
    test: Holdout
    facts: dict[str, Any]
    settings: LogData | None = None

    @property
    def pieces(self) -> Sequences:
        """The users' training events; small sets of real sequences are chosen from these."""
        return self.train


def make_log(
    events: Events,
    split: Split | None = None,
    *,
    ties: str = "file",
    ties_because: str | None = None,
    unseen: str = "error",
    min_user_events: int = 3,
    min_item_events: int = 1,
) -> Log:
    """Filter, sort and split a log.

    Args:
        events: the log.
        split: what is held out; `LeaveOneOut()` if None.
        ties: order of a user's events at the same time: "file" or "random", see `sort`.
        ties_because: the reason for it, for the facts.
        unseen: held-out events of items that are never trained on: "error", "keep" (they count as misses) or
            "drop".
        min_user_events: users with fewer events are left out.
        min_item_events: items with fewer events are left out.

    Raises:
        FarziError: too little of the log remains, or it has unseen items and `unseen` is "error".
    """
    split = LeaveOneOut() if split is None else split
    frame = _filtered(events, min_user_events, min_item_events)
    vocabulary = Vocabulary.from_events(frame, events.names)
    log = sort(frame, vocabulary.encode(frame["item"]), ties)
    facts = {
        "name": events.source,
        **log_facts(log, events.dated),
        **order_facts(log, vocabulary.frame["id"].to_list(), ties, ties_because),
        "filters": _filter_facts(events, frame, min_user_events, min_item_events),
        "skipped": skipped_facts(events),
    }
    parts = split.parts(log)
    log, parts, unseen_facts = _treat_unseen(log, parts, unseen, vocabulary, events)
    train = log.sequences(parts == TRAIN)
    valid = _holdout(log, parts < VALID, parts == VALID)
    test = _holdout(log, parts < TEST, parts == TEST)
    for what, part in {"training": train, "validation": valid, "test": test}.items():
        if len(part) == 0:
            raise FarziError(f"{events.source}: no user has usable {what} events under this split ({split})")
    facts["split"] = {
        "rule": str(split),
        "train": {"users": len(train), "events": len(train.items)},
        "valid": _holdout_facts(valid, parts == VALID),
        "test": _holdout_facts(test, parts == TEST),
        "users_never_held_out": len(log.users) - len(np.unique(log.user[parts != TRAIN])),
    }
    facts["unseen"] = unseen_facts
    return Log(events.source, vocabulary, train, valid, test, facts)


def _filtered(events: Events, min_user_events: int, min_item_events: int) -> pl.DataFrame:
    users = events.frame["user"].n_unique()
    if users < 2:
        raise FarziError(f"{events.source}: has events of one user only; at least 2 users are needed")
    frame = filter_rare(events.frame, min_user_events, min_item_events)
    if frame["user"].n_unique() < 2:
        raise FarziError(
            f"{events.source}: fewer than 2 of its {users:,} users remain if each user needs at least "
            f"{min_user_events} events and each item {min_item_events}; "
            f"lower {setting('min_user_events', events.unit)} or {setting('min_item_events', events.unit)}"
        )
    return frame


def _holdout(log: SortedEvents, history: np.ndarray, held_out: np.ndarray) -> Holdout:
    """The users with both a history and targets."""
    n = len(log.users)
    has_history = np.bincount(log.user[history], minlength=n) > 0
    has_targets = np.bincount(log.user[held_out], minlength=n) > 0
    users = np.flatnonzero(has_history & has_targets)
    return Holdout(log.sequences(history, users), log.sequences(held_out, users))


def _treat_unseen(
    log: SortedEvents, parts: np.ndarray, rule: str, vocabulary: Vocabulary, events: Events
) -> tuple[SortedEvents, np.ndarray, dict[str, Any]]:
    """Apply the rule for held-out events of items that no training event has."""
    trained = np.zeros(len(vocabulary), bool)
    trained[log.item[parts == TRAIN]] = True
    unseen = ~trained[log.item]
    facts = {
        "rule": rule,
        "items": len(np.unique(log.item[unseen])),
        "valid_events": int((unseen & (parts == VALID)).sum()),
        "test_events": int((unseen & (parts == TEST)).sum()),
    }
    if rule == "drop":
        return log.filter(~unseen), parts[~unseen], facts
    if rule == "error" and unseen.any():
        rule = setting("unseen", events.unit)
        first = int(np.flatnonzero(unseen)[np.argmin(log.row[unseen])])
        raise FarziError(
            f"{events.place(int(log.row[first]))}: item {vocabulary.frame['id'][int(log.item[first])]!r} is "
            f"held out but never trained on, like {unseen.sum():,} of the {(parts != TRAIN).sum():,} "
            f"held-out events; {rule}=keep counts them as misses, {rule}=drop leaves them out"
        )
    return log, parts, facts


def _filter_facts(events: Events, frame: pl.DataFrame, user_events: int, item_events: int) -> dict[str, Any]:
    removed = {what: events.frame[what].n_unique() - frame[what].n_unique() for what in ("user", "item")}
    return {
        "rule": f"users with at least {user_events} events and items with at least {item_events}, "
        "applied until both hold",
        "users_removed": removed["user"],
        "items_removed": removed["item"],
        "events_removed": len(events) - len(frame),
    }


def _holdout_facts(part: Holdout, held_out: np.ndarray) -> dict[str, int]:
    """Sizes, and the held-out events of users without a history, which cannot be used."""
    used = len(part.targets.items)
    return {"users": len(part), "events": used, "events_without_history": int(held_out.sum()) - used}
