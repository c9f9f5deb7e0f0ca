"""A log ready for training and evaluation: its events filtered, sorted, split and described."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from farzi.data.events import Events
from farzi.data.sequences import Holdout, Sequences
from farzi.data.sorting import SortedEvents, codes_of, filter_rare, sort
from farzi.data.splits import TEST, TRAIN, VALID, LeaveOneOut, Split
from farzi.data.tables import place_of, setting
from farzi.data.times import seconds_scale, time_facts, time_values
from farzi.data.vocabulary import Vocabulary
from farzi.errors import FarziError
from farzi.recipe.variants import LogData

SHOWN = 5  # skipped rows, and events of one user, that are listed
SORTED = 0.9  # share of tied neighbours with rising (or falling) ids from which ties count as sorted by id


@dataclass(frozen=True, eq=False, repr=False)
class Log:
    """A log ready for training and evaluation.

    Attributes:
        name: the named data set, the file or the frame.
        vocabulary: all items that remain after the filters, with the counts of their training events; those
            that are never trained on are included, with a count of 0.
        train: the training events of each user who has some.
        valid: training events as histories, validation events as targets.
        test: training and validation events as histories, test events as targets.
        facts: JSON values in a stable order.
        settings: the `data` of a recipe that reads it; None if it was made otherwise.
    """

    name: str
    vocabulary: Vocabulary
    train: Sequences
    valid: Holdout
    test: Holdout
    facts: dict[str, Any]
    settings: LogData | None = None

    def __repr__(self) -> str:
        """One line: name, size, and how it was read."""
        events = sum(len(part.items) for part in (self.train, self.valid.targets, self.test.targets))
        sizes = f"{len(self.train):,} users, {len(self.vocabulary) - 1:,} items, {events:,} events"
        reading = self.facts.get("reading", {})
        columns = ", ".join(f"{role} = {name}" for role, name in reading.get("columns", {}).items())
        form = f"; {reading['form']}: {columns}" if reading.get("form") else ""
        return f"Log({self.name}: {sizes}{form})"

    def to_frame(self) -> pl.DataFrame:
        """Its events with the split, for other libraries to train on and to measure with.

        Returns:
            Columns `user_id`, `item_id`, `position` (from 0 in the order of a user's events) and `part`:
            "train", "valid" or "test". Held-out events that no figure is computed from are not there.
        """
        parts = {"train": self.train, "valid": self.valid.targets, "test": self.test.targets}
        ids = self.vocabulary.frame["id"]
        frames = [
            pl.DataFrame(
                {
                    "user_id": np.repeat(np.array(events.users or range(len(events)), str), events.lengths),
                    "item_id": ids.gather(events.items),
                    "part": [name] * len(events.items),
                }
            )
            for name, events in parts.items()
        ]
        order = pl.int_range(pl.len(), dtype=pl.Int64).over("user_id").alias("position")
        return pl.concat(frames).select("user_id", "item_id", order, "part")

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
    unseen: str = "keep",
    duplicates: str = "keep",
    min_user_events: int = 3,
    min_item_events: int = 1,
) -> Log:
    """Filter, sort and split a log.

    Args:
        events: the log.
        split: what is held out; `LeaveOneOut()` if None.
        ties: order of a user's events at the same time: "file" or "random", see `sort`.
        ties_because: the reason for it, for the facts.
        unseen: held-out events of items that are never trained on: "error", "keep" (each is a miss in every
            metric) or "drop".
        duplicates: events that repeat another's user, item and time: "keep" or "drop".
        min_user_events: users with fewer events are left out.
        min_item_events: items with fewer events are left out.

    Raises:
        FarziError: too little of the log remains, or it has unseen items and `unseen` is "error".
    """
    split = LeaveOneOut() if split is None else split
    given = len(events)
    events = _without_duplicates(events) if duplicates == "drop" else events
    frame = _filtered(events, min_user_events, min_item_events)
    same = len(frame) == len(events)  # nothing was filtered out
    removed = {
        role: 0 if same else events.frame[role].n_unique() - frame[role].n_unique()
        for role in ("user", "item")
    }
    vocabulary = Vocabulary.from_events(frame, events.names)
    codes, items = codes_of(frame["item"])
    log = sort(frame, vocabulary.encode(items).astype(np.uint32)[codes], ties)
    facts = {
        "name": events.source,
        "reading": {**events.reading, "first_user": _first_user(log, vocabulary, events)},
        **_log_facts(log, events),
        **_order_facts(log, vocabulary, ties, ties_because),
        "duplicates": _duplicate_facts(log, duplicates, given - len(events)),
        "filters": {
            "rule": f"users with at least {min_user_events} events and items with at least "
            f"{min_item_events}, applied until both hold",
            "users_removed": removed["user"],
            "items_removed": removed["item"],
            "events_removed": len(events) - len(log),
        },
        "names": _names_facts(vocabulary, events),
        "skipped": {"rows": len(events.skipped), "first": [str(row) for row in events.skipped[:SHOWN]]},
    }
    parts = split.parts(log)
    log, parts, unseen_facts = _treat_unseen(log, parts, unseen, vocabulary, events)
    trained = parts == TRAIN
    train = log.sequences(trained, log.counts(trained))
    vocabulary = vocabulary.with_counts(np.bincount(train.items, minlength=len(vocabulary)))
    valid = _holdout(log, parts < VALID, parts == VALID, vocabulary.untrained)
    test = _holdout(log, parts < TEST, parts == TEST, vocabulary.untrained)
    for what, part in {"training": train, "validation": valid, "test": test}.items():
        if len(part) == 0:
            raise FarziError(f"{events.source}: no user has usable {what} events under this split ({split})")
    facts["split"] = {
        "rule": str(split),
        "train": {"users": len(train), "events": len(train.items)},
        "valid": _holdout_facts(valid, parts == VALID),
        "test": _holdout_facts(test, parts == TEST),
        "users_never_held_out": len(log.users) - int(np.count_nonzero(log.counts(parts != TRAIN))),
    }
    facts["unseen"] = unseen_facts
    facts["warnings"] = _warnings(facts)
    return Log(events.source, vocabulary, train, valid, test, facts)


def _without_duplicates(events: Events) -> Events:
    """Drop events that repeat another's user, item and time. Raises FarziError if there are no times."""
    if "time" not in events.frame.columns:
        raise FarziError(f"{events.source}: data.duplicates=drop has no effect: the log has no time column")
    return replace(
        events, frame=events.frame.unique(["user", "item", "time"], keep="first", maintain_order=True)
    )


def _duplicate_facts(log: SortedEvents, rule: str, dropped: int) -> dict[str, Any] | None:
    """How many events repeat, or repeated, another's user, item and time; None without times."""
    if log.time is None:
        return None
    if rule == "drop":
        return {"rule": rule, "events": dropped}
    places = np.flatnonzero(log.tied)
    group = np.cumsum(~np.append(False, log.same_time)[places])
    distinct = len(np.unique(group * (int(log.item.max()) + 1) + log.item[places]))
    return {"rule": rule, "events": len(places) - distinct}


def _first_user(log: SortedEvents, vocabulary: Vocabulary, events: Events) -> dict[str, Any]:
    """The first events of the user whose event stands first in the file."""
    user = log.user[np.argmin(log.row)]
    begin, end = np.searchsorted(log.user, [user, user + 1])
    places = np.arange(begin, min(begin + SHOWN, end))
    facts: dict[str, Any] = {"user": log.users[user], "of": int(log.lengths[user])}
    facts["items"] = [vocabulary.label(index) for index in log.item[places]]
    if log.time is not None:
        scale = seconds_scale(log.time, events.dated, events.ticks)
        facts["times"] = time_values(log.time[places], scale, events.ticks)
    return facts


def _names_facts(vocabulary: Vocabulary, events: Events) -> dict[str, int] | None:
    if events.names is None:
        return None
    items, names = len(vocabulary) - 1, vocabulary.frame["name"]
    return {"given": len(events.names), "items_with_a_name": items + 1 - names.null_count(), "items": items}


def _filtered(events: Events, min_user_events: int, min_item_events: int) -> pl.DataFrame:
    frame = filter_rare(events.frame, min_user_events, min_item_events)
    if len(codes_of(frame["user"])[1]) < 2:
        users = events.frame["user"].n_unique()
        if users < 2:
            raise FarziError(f"{events.source}: has events of one user only; at least 2 users are needed")
        raise FarziError(
            f"{events.source}: fewer than 2 of its {users:,} users remain if each user needs at least "
            f"{min_user_events} events and each item {min_item_events}; "
            f"lower {setting('min_user_events', events.unit)} or {setting('min_item_events', events.unit)}"
        )
    return frame


def _holdout(log: SortedEvents, history: np.ndarray, held_out: np.ndarray, untrained: np.ndarray) -> Holdout:
    """The users with both a history and targets."""
    before, after = log.counts(history), log.counts(held_out)
    users = np.flatnonzero((before > 0) & (after > 0))
    return Holdout(log.sequences(history, before, users), log.sequences(held_out, after, users), untrained)


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
        place, item = place_of(events.source, events.unit, int(log.row[first])), int(log.item[first])
        raise FarziError(
            f"{place}: item {vocabulary.frame['id'][item]!r} is held out but never trained on, like "
            f"{unseen.sum():,} of the {(parts != TRAIN).sum():,} held-out events; "
            f"{rule}=keep counts them as misses, {rule}=drop leaves them out"
        )
    return log, parts, facts


def _holdout_facts(part: Holdout, held_out: np.ndarray) -> dict[str, int]:
    """Sizes, and the held-out events of users without a history, which cannot be used."""
    used = len(part.targets.items)
    return {"users": len(part), "events": used, "events_without_history": int(held_out.sum()) - used}


def _log_facts(log: SortedEvents, events: Events) -> dict[str, Any]:
    """Users, items, events, lengths, time range, density and repeats of a log."""
    lengths = log.lengths
    users, items = len(lengths), int(np.count_nonzero(np.bincount(log.item)))
    pair = pl.Series(log.user * np.int64(log.item.max() + 1) + log.item).sort().to_numpy()
    pairs = 1 + int(np.count_nonzero(pair[1:] != pair[:-1]))
    return {
        "users": users,
        "items": items,
        "events": len(log),
        "length": {
            "min": int(lengths.min()),
            "median": float(np.median(lengths)),
            "mean": round(float(lengths.mean()), 3),
            "max": int(lengths.max()),
        },
        "time": None if log.time is None else time_facts(log.time, events.dated, events.ticks),
        "density": round(pairs / (users * items), 6),
        "sparsity": round(1 - pairs / (users * items), 6),
        "repeated_events": len(log) - pairs,
    }


def _order_facts(log: SortedEvents, vocabulary: Vocabulary, ties: str, because: str | None) -> dict[str, Any]:
    """How events were sorted, how many share their time, and whether their order reveals the next item."""
    if log.time is None:
        return {"order": "the log has no times: events are in the order of the file", "ties": None}
    same, tied = log.same_time, log.tied
    words = "by time; a user's events at the same time "
    words += "in the order of the file" if ties == "file" else "by a fixed hash of user and item"
    rising = _rising(log, same, vocabulary.frame["id"].to_list()) if ties == "file" else None
    facts = {
        "rule": ties,
        "because": because,
        "tied_events": round(float(tied.mean()), 4),
        "users_with_ties": int(np.count_nonzero(log.counts(tied))),
        "rising_by_id": None if rising is None else round(rising, 4),
    }
    return {"order": words, "ties": facts}


def _warnings(facts: dict[str, Any]) -> list[str]:
    """What a user should act on, a sentence each."""
    warnings = []
    rising = facts["ties"] and facts["ties"]["rising_by_id"]
    if rising is not None and not 1 - SORTED < rising < SORTED:
        warnings.append(
            f"of a user's events at the same time the item ids {'rise' if rising > 0.5 else 'fall'} in "
            f"{max(rising, 1 - rising):.0%} of cases ({facts['ties']['tied_events']:.0%} of the events are "
            "concerned): their order in the file reveals the next item; data.ties=random avoids that"
        )
    if facts["time"] and "note" in facts["time"]:
        warnings.append(f"times: {facts['time']['note']}")
    return warnings


def _rising(log: SortedEvents, same: np.ndarray, ids: list[str]) -> float | None:
    """The share of tied neighbours whose ids rise, as numbers where all are; None below 20 pairs."""
    first, second = log.item[:-1][same], log.item[1:][same]
    differ = first != second
    if differ.sum() < 20:
        return None
    numeric = all(id.isdecimal() for id in ids[1:])
    order = sorted(range(len(ids)), key=lambda index: int(ids[index] or -1) if numeric else ids[index])
    rank = np.argsort(order)
    return float((rank[second[differ]] > rank[first[differ]]).mean())
