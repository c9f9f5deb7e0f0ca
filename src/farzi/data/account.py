"""How a log was read, in words: for `farzi data describe`, and in a few lines for a distillation."""

from typing import Any


def reading_words(facts: dict[str, Any]) -> dict[str, Any]:
    """The `reading` in the facts of a log, for people: text, or a list of sentences, by label."""
    reading, first = facts["reading"], facts["reading"]["first_user"]
    times = [str(time) for time in first.get("times", [])]
    if all(time.endswith(" 00:00:00") for time in times):
        times = [time.partition(" ")[0] for time in times]
    times = [f" ({time})" for time in times] or [""] * len(first["items"])
    events = ", ".join(f"{item}{time}" for item, time in zip(first["items"], times, strict=True))
    rest = first["of"] - len(first["items"])
    return {
        "columns": _columns(reading),
        "not_read": ", ".join(reading.get("not_read", [])),
        "form": reading.get("form", ""),
        "notes": [*reading.get("notes", []), *reading.get("hints", []), *_left_out(facts)],
        "first_user": f"{first['user']}: {events}" + (f", and {rest:,} more" if rest else ""),
    }


def reading_lines(facts: dict[str, Any]) -> list[str]:
    """Three lines on what was read, left out and held out, and one for each guess about the form."""
    reading, split, unseen = facts["reading"], facts["split"], facts["unseen"]
    ignored = f"; not read: {', '.join(reading['not_read'])}" if reading.get("not_read") else ""
    form = f" ({reading['form']})" if reading.get("form") else ""
    held_out = f"{split['valid']['events']:,} events for validation, {split['test']['events']:,} for the test"
    missed = unseen["valid_events"] + unseen["test_events"]
    if missed:
        treated = {"keep": "certain misses", "drop": "left out"}.get(unseen["rule"], unseen["rule"])
        held_out += f"; {missed:,} are of items without training events: {treated}"
    return [
        f"{facts['name']}{form}: {_columns(reading)}{ignored}",
        f"{facts['users']:,} users, {facts['items']:,} items, {facts['events']:,} events; "
        + ("; ".join(_left_out(facts)) or "nothing was left out"),
        f"held out: {held_out}",
        *(f"note: {note}" for note in reading.get("notes", [])),
    ]


def _columns(reading: dict[str, Any]) -> str:
    return ", ".join(f"{role} = {column}" for role, column in reading.get("columns", {}).items())


def _left_out(facts: dict[str, Any]) -> list[str]:
    skipped, filters, repeated = facts["skipped"]["rows"], facts["filters"], facts["duplicates"]
    sentences = []
    if skipped:
        sentences.append(f"left out: {skipped:,} rows that cannot be read")
    if filters["events_removed"]:
        sentences.append(
            f"left out: {filters['events_removed']:,} events of {filters['users_removed']:,} users and "
            f"{filters['items_removed']:,} items with too few"
        )
    if repeated and repeated["events"]:
        rule = "left out" if repeated["rule"] == "drop" else "kept (data.duplicates=drop leaves them out)"
        sentences.append(f"{repeated['events']:,} events repeat another's user, item and time: {rule}")
    return sentences
