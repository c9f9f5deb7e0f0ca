"""What a case is, and the damage that is done to bytes."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

LIKED = ["", " ", "\t", "\n", "\r", "\r\n", '"', "'", ",", ";", "|", "\\", "\x00", "\x1a", "\x1b[31m", "\x85"]
LIKED += ["\u2028", "\ufeff", "\u200b", "\u202e", "é", "e\u0301", "日本", "𝒳", "NaN", "nan", "None", "null"]
LIKED += ["-1", "0", "1e309", "1e-400", "9" * 40, "-0.0", "0x10", "1_000", "2020-02-30", "9999-12-31", "inf"]
"""Text that has led readers astray."""


class Fault(Exception):
    """The package read something that is not there, or not what is."""


class Unreadable(Exception):
    """The strict reading finds no log: whoever accepts it has guessed."""


class Unsure(Exception):
    """The strict reading does not know this form."""


@dataclass(frozen=True)
class Case:
    """One input and what is done with it.

    Attributes:
        run: reads it; a FarziError is a refusal.
        check: of what was read; raises Fault.
        words: of the command line that reads the same; None if there is none.
        must: whether it is right, so that a refusal is a fault.
    """

    run: Callable[[], Any]
    check: Callable[[Any], None] = lambda value: None
    words: Sequence[str] | None = None
    must: bool = False


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Bytes after one to three changes: flips, cuts, repeats, insertions and swaps."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        data = rng.choice([_flip, _cut, _drop, _repeat, _insert, _overwrite, _swap_lines])(data, rng)
    return data


def _place(data: bytes, rng: random.Random) -> int:
    ends = rng.choice([0, len(data), rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)])
    return min(len(data), max(0, ends + rng.randrange(-8, 9))) if rng.random() < 0.3 else ends


def _flip(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return data
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: _place(data, rng)]


def _drop(data: bytes, rng: random.Random) -> bytes:
    first, last = sorted((_place(data, rng), _place(data, rng)))
    return data[:first] + data[min(last, first + rng.choice([1, 2, 16, 4096])) :]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    first, last = sorted((_place(data, rng), _place(data, rng)))
    return data[:last] + data[first:last] * rng.choice([1, 2, 30]) + data[last:]


def _insert(data: bytes, rng: random.Random) -> bytes:
    place = _place(data, rng)
    new = rng.choice([rng.choice(LIKED).encode(), rng.randbytes(rng.choice([1, 4, 64])), b"\xff", b"\xe9"])
    return data[:place] + new + data[place:]


def _overwrite(data: bytes, rng: random.Random) -> bytes:
    place = _place(data, rng)
    new = rng.choice([b"\xff" * 4, b"\x00" * 4, rng.randbytes(8), rng.choice(LIKED).encode()])
    return data[:place] + new + data[place + len(new) :]


def _swap_lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def changed_value(value: Any, rng: random.Random) -> Any:
    """A JSON value with one part replaced, removed, renamed or repeated."""
    if rng.random() < 0.25 or not isinstance(value, dict | list) or not value:
        deep: Any = 1
        for _ in range(rng.choice([3, 100])):
            deep = [deep]
        odd = [None, True, 0, -1, 1e308, 2**70, float("nan"), "", [], {}, {"type": "x:Y"}, deep, *LIKED]
        return rng.choice(odd)
    if isinstance(value, list):
        place = rng.randrange(len(value))
        if rng.random() < 0.2:
            return value[:place] + value[place + 1 :]
        return [*value[:place], changed_value(value[place], rng), *value[place + 1 :]]
    key = rng.choice(list(value))
    rest = {name: one for name, one in value.items() if name != key}
    fate = rng.random()
    if fate < 0.15:
        return rest
    if fate < 0.25:
        return {**rest, rng.choice([*LIKED, key + "x", key.upper()]): value[key]}
    return {**value, key: changed_value(value[key], rng)}
