"""Logs as JSON lines: one object for each event."""

import ast
import itertools
import json
import re
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from farzi.data.columns import bare
from farzi.data.content import RECODE, Content
from farzi.data.tables import BadRow, Choose, Table, quoted, text_frame, unread, value_text
from farzi.errors import FarziError

PYTHON = re.compile(rb"\s*\{u?'")
"""How a dict begins that Python has printed, as several public data sets have them in place of JSON."""
HEAD = 1000  # there is no header: the keys of this many first lines are the columns


def json_table(content: Content, choose: Choose) -> Table:
    """The values of the keys that `choose` picks.

    Raises:
        FarziError: no line holds an object; or what `choose` raises.
    """
    bad: list[BadRow] = []
    records = _objects(content.data, bad)
    head = list(itertools.islice(records, HEAD))
    if not head:
        raise FarziError(f"{content.source}:{bad[0].line}: {bad[0].reason}")
    keys = dict.fromkeys(key for _, record in head for key in record)
    full = {bare(key).encode("utf-8", "backslashreplace").decode(): key for key in keys}
    lists = [name for name, key in full.items() if _are_lists(record.get(key) for _, record in head)]
    columns = choose(list(full), lists=lists)
    nested = (
        {role for role, name in columns.items() if name in lists} if columns.get("item") in lists else set()
    )
    wanted = [(role, name, full[name]) for role, name in columns.items()]
    rows = []
    for line, record in itertools.chain(head, records):
        values = []
        for role, name, key in wanted:
            value = record.get(key)
            text, problem = (_texts if role in nested else value_text)(value, role)
            if problem is not None:
                if role in nested and isinstance(value, list) and isinstance(value[0], dict):
                    problem += (
                        f"; write an event in each line, as jq -c '{{{columns['user']}}} + .{name}[]' does"
                    )
                bad.append(BadRow(line, name, None, problem))
                break
            values.append(text)
        else:
            rows.append([*values, line])
    frame = text_frame(rows, columns, nested)
    form = "Python dicts, one in a line" if PYTHON.match(content.data) else "JSON lines"
    return Table(frame, columns, bad, unread=unread(full, columns), form=form)


def _are_lists(values: Iterable[Any]) -> bool:
    """Whether a key holds lists wherever it is there; a list among single values is a bad row."""
    there = [isinstance(value, list) for value in values if value is not None]
    return bool(there) and all(there)


def _texts(value: Any, role: str) -> tuple[list[str | None] | None, str | None]:
    """`value_text` for each value of a list."""
    if not isinstance(value, list):
        return None, f"{quoted(value)} is not a list, as in other lines"
    pairs = [value_text(one, role) for one in value]
    return [text for text, _ in pairs], next((problem for _, problem in pairs if problem is not None), None)


def _objects(data: bytes, bad: list[BadRow]) -> Iterator[tuple[int, dict]]:
    """Line and object, numbers as they are written; lines that hold no object are appended to `bad`."""
    decode = json.JSONDecoder(parse_int=str, parse_float=str).decode
    start, line = 0, 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        raw, start, line = data[start:end], end + 1, line + 1
        if not raw.strip():
            continue
        try:
            text = raw.decode("utf-8")
            record = decode(_json_of(text) if PYTHON.match(raw) else text)
        except UnicodeDecodeError:
            bad.append(BadRow(line, None, None, f"not UTF-8 text; {RECODE}"))
            continue
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            record = None
        if isinstance(record, dict):
            yield line, record
        else:
            bad.append(BadRow(line, None, None, "not a JSON object: write one object in each line"))


def _json_of(text: str) -> str:
    """A Python literal as JSON; an error where it is more than constants, lists and dicts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of backslashes in somebody else's text
        return json.dumps(ast.literal_eval(text.strip()))
