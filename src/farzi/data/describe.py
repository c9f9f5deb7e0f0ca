"""The figures of a log: a dictionary of JSON values in a stable order."""

from typing import Any, Protocol

import numpy as np

from farzi.data.events import Events
from farzi.data.sorting import SortedEvents, codes, sort
from farzi.data.times import time_range

SHOWN = 5  # skipped rows that are listed
SORTED = 0.9  # share of tied neighbours with rising (or falling) ids from which ties count as sorted by id


class HasFacts(Protocol):
    """A log or a text that was described when it was made."""

    @property
    def facts(self) -> dict[str, Any]:
        """The figures."""
        ...


def describe(data: Events | HasFacts) -> dict[str, Any]:
    """Users, items, events, lengths, times, density, order, ties; of a `Log` also filters and split."""
    if not isinstance(data, Events):
        return data.facts
    item, ids = codes(data.frame["item"])
    log = sort(data.frame, item, "file")
    return {
        "name": data.source,
        **log_facts(log, data.dated),
        **order_facts(log, ids, "file"),
        "skipped": skipped_facts(data),
    }


def log_facts(log: SortedEvents, dated: bool = False) -> dict[str, Any]:
    """Users, items, events, lengths, time range, density and repeats of a log."""
    lengths = log.lengths
    users, items = len(lengths), len(np.unique(log.item))
    pairs = len(np.unique(log.user * (int(log.item.max()) + 1) + log.item))
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
        "time": _time_facts(log, dated),
        "density": round(pairs / (users * items), 6),
        "sparsity": round(1 - pairs / (users * items), 6),
        "repeated_events": len(log) - pairs,
    }


def order_facts(log: SortedEvents, ids: list[str], ties: str, because: str | None = None) -> dict[str, Any]:
    """How events were sorted, how many share their time, and whether their order reveals the next item.

    Args:
        log: the sorted log.
        ids: the original id of each item index in it.
        ties: the rule that sorted it, "file" or "random".
        because: the reason for the rule, if it is the default of a named data set.
    """
    if log.time is None:
        return {
            "order": "the log has no times: events are in the order of the file",
            "ties": None,
        }
    same = (log.user[1:] == log.user[:-1]) & (log.time[1:] == log.time[:-1])
    tied = np.append(same, False) | np.append(False, same)
    words = "by time; a user's events at the same time "
    words += "in the order of the file" if ties == "file" else "by a fixed hash of user and item"
    rising = _rising(log, same, ids) if ties == "file" else None
    if rising is not None and not 1 - SORTED < rising < SORTED:
        words += (
            f"; their item ids {'rise' if rising > 0.5 else 'fall'} in {max(rising, 1 - rising):.0%} of "
            "cases, which reveals the next item: consider ties=random"
        )
    facts = {
        "rule": ties,
        "because": because,
        "tied_events": round(float(tied.mean()), 4),
        "users_with_ties": len(np.unique(log.user[tied])),
        "rising_by_id": None if rising is None else round(rising, 4),
    }
    return {"order": words, "ties": facts}


def skipped_facts(events: Events) -> dict[str, Any]:
    """How many rows could not be read, and the first of them."""
    return {"rows": len(events.skipped), "first": [str(row) for row in events.skipped[:SHOWN]]}


def _rising(log: SortedEvents, same: np.ndarray, ids: list[str]) -> float | None:
    """The share of tied neighbours whose ids rise, as numbers where all are; None below 20 pairs."""
    first, second = log.item[:-1][same], log.item[1:][same]
    differ = first != second
    if differ.sum() < 20:
        return None
    used = np.unique(log.item).tolist()
    key = (
        (lambda index: int(ids[index])) if all(ids[index].isdecimal() for index in used) else ids.__getitem__
    )
    rank = np.zeros(max(used) + 1, np.int64)
    rank[sorted(used, key=key)] = np.arange(len(used))
    return float((rank[second[differ]] > rank[first[differ]]).mean())


def _time_facts(log: SortedEvents, dated: bool) -> dict[str, Any] | None:
    if log.time is None:
        return None
    span = time_range(log.time, dated)
    if span is None:
        return {"from": log.time.min().item(), "to": log.time.max().item(), "unit": "not seconds since 1970"}
    return {"from": span[0], "to": span[1], "unit": "UTC"}
