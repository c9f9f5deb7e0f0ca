"""How a log was read, in words: for `farzi data describe`, and in a few lines for a distillation."""

from typing import Any


def readable(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts of a log for people: how it was read comes first, and groups of figures are sentences."""
    reading, first = facts["reading"], facts["reading"]["first_user"]
    times = [str(time) for time in first.get("times", [])]
    if all(time.endswith(" 00:00:00") for time in times):
        times = [time.partition(" ")[0] for time in times]
    times = [f" ({time})" for time in times] or [""] * len(first["items"])
    events = ", ".join(f"{item}{time}" for item, time in zip(first["items"], times, strict=True))
    rest = first["of"] - len(first["items"])
    words = {
        "name": facts["name"],
        "columns": _columns(reading),
        "not_read": ", ".join(reading.get("not_read", [])),
        "form": reading.get("form", ""),
        "notes": [*reading.get("notes", []), *reading.get("hints", []), *_left_out(facts)],
        "warnings": facts["warnings"],
        "first_user": f"{first['user']}: {events}" + (f", and {rest:,} more" if rest else ""),
    }
    hidden = ("reading", "duplicates", "sparsity") + ("skipped",) * (facts["skipped"]["rows"] == 0)
    words |= {name: value for name, value in facts.items() if name not in (*words, *hidden)}
    if time := facts["time"]:
        words["time"] = f"{_figure(time['from'])} to {_figure(time['to'])} ({time['unit']})"
    if ties := facts["ties"]:
        words["ties"] = (
            f"{100 * ties['tied_events']:.3g} % of the events share their time with another of the same user "
            f"({ties['users_with_ties']:,} users)"
        )
        if ties["rising_by_id"] is not None:
            words["ties"] += f"; item ids rise in {100 * ties['rising_by_id']:.3g} % of such neighbours"
        if ties["because"] is not None:
            words["ties"] += f"; {ties['because']}"
    if names := facts["names"]:
        words["names"] = f"{names['items_with_a_name']:,} of {names['items']:,} items have one"
    words["unseen"] = _unseen(facts["unseen"]) or "every item that is held out has training events"
    return words


def _figure(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:,}"


def _unseen(unseen: dict[str, Any]) -> str:
    missed = unseen["valid_events"] + unseen["test_events"]
    treated = {"keep": "kept, as certain misses", "drop": "left out"}.get(unseen["rule"], unseen["rule"])
    if not missed:
        return ""
    return (
        f"{missed:,} held-out events ({unseen['test_events']:,} of the test) are of {unseen['items']:,} "
        f"items without training events: {treated}"
    )


def reading_lines(facts: dict[str, Any]) -> list[str]:
    """Three lines on what was read, left out and held out, and one for each guess about the form."""
    reading, split, missed = facts["reading"], facts["split"], _unseen(facts["unseen"])
    ignored = f"; not read: {', '.join(reading['not_read'])}" if reading.get("not_read") else ""
    form = f" ({reading['form']})" if reading.get("form") else ""
    held_out = f"{split['valid']['events']:,} events for validation, {split['test']['events']:,} for the test"
    return [
        f"{facts['name']}{form}: {_columns(reading)}{ignored}",
        f"{facts['users']:,} users, {facts['items']:,} items, {facts['events']:,} events; "
        + ("; ".join(_left_out(facts)) or "nothing was left out"),
        f"held out: {held_out}" + (f"; {missed}" if missed else ""),
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
