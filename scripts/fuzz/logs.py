"""Logs as files of many forms and as frames, and a strict, simple reading of each."""

import csv
import io
import json
import lzma
import random
import zipfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

import farzi
from scripts.fuzz.case import LIKED, Case, Fault, Unreadable, Unsure, damaged
from scripts.fuzz.packing import PACKED

Rows = list[tuple[str, str, float]]
"""User, item and time of each event, in the order of the file."""
SETTINGS = {"unseen": "keep", "min_user_events": 1}


def made(rng: random.Random, odd: bool) -> Rows:
    """A small log; with odd ids if wanted. Times differ within a user and rise in no order."""
    pool = [f"i{k}" for k in range(rng.randrange(4, 12))]
    users = [f"u{k}" for k in range(rng.randrange(2, 7))]
    if rng.random() < 0.3:
        pool, users = [str(k + 1) for k in range(len(pool))], [str(k * 7) for k in range(len(users))]
    if odd:
        pool = [rng.choice([one, rng.choice(LIKED) + one, one + rng.choice(LIKED) + "z"]) for one in pool]
    rows = []
    for user in users:
        times = rng.sample(range(1_000_000_000, 1_000_100_000), rng.randrange(3, 8))
        rows += [(user, rng.choice(pool), float(time)) for time in times]
    rng.shuffle(rows)
    return rows


def bare(id: str) -> str:
    """An id without white space and byte order marks around it."""
    return id.strip().strip("\ufeff").strip()


def histories(rows: Rows) -> dict[str, list[str]]:
    """The items of each user in the order of time; equal times in the order of the file."""
    by_user: dict[str, list[tuple[float, str]]] = {}
    for user, item, time in rows:
        by_user.setdefault(bare(user), []).append((time, bare(item)))
    return {
        user: [item for _, item in sorted(one, key=lambda pair: pair[0])] for user, one in by_user.items()
    }


def check_log(log: Any, rows: Rows) -> None:
    """Compare all events of a log, whose settings are `SETTINGS`, with those of a reading."""
    label = log.vocabulary.frame["id"].to_list()
    read: dict[str, list[str]] = {}
    for part in (log.train, log.valid.targets, log.test.targets):
        for user, items in zip(part.users, part, strict=True):
            read.setdefault(bare(user), []).extend(bare(label[item]) for item in items)
    expected = histories(rows)
    if read != expected:
        users = [user for user in {**read, **expected} if read.get(user) != expected.get(user)]
        user = users[0]
        raise Fault(f"events differ for {user!r}: read {read.get(user)}, in the file {expected.get(user)}")


# --- files --------------------------------------------------------------------------------------------------


def written(rows: Rows, rng: random.Random, plain: bool) -> tuple[str, str, Callable[[bytes], Rows]]:
    """A log as text, the suffix of its file, and the strict reading of such a file."""
    form = rng.choice(["csv", "csv", "quoted", "json", "inter"])
    time = rng.choice([_number, _number, _iso] if form != "json" else [_number])
    ending = rng.choice(["\n", "\r\n"]) if not plain else "\n"
    if form == "json":
        lines = [
            json.dumps({"user": u, "item": i, "time": int(t)}, ensure_ascii=rng.random() < 0.5)
            for u, i, t in rows
        ]
        return ending.join(lines) + ending, ".jsonl", read_json
    delimiter = "\t" if form == "inter" else rng.choice(",\t;|")
    header = (
        ["user_id:token", "item_id:token", "timestamp:float"] if form == "inter" else ["user", "item", "time"]
    )
    order = rng.sample(range(3), 3)
    table = [header, *([user, item, time(t)] for user, item, t in rows)]
    if rng.random() < 0.3 and form != "inter":
        table = [
            [*row, rng.choice(["", "x", "4.5"])] if k else [*row, "rating"] for k, row in enumerate(table)
        ]
        order = [*order, 3]
    out = io.StringIO()
    bare = form == "inter" and not any(mark in user + item for user, item, _ in rows for mark in '\t\r\n"')
    quoting = csv.QUOTE_NONE if bare else csv.QUOTE_ALL if form == "quoted" else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=ending, escapechar=None)
    writer.writerows([row[place] for place in order] for row in table)
    suffix = {"inter": ".inter", "csv": rng.choice([".csv", ".tsv", ".txt", ".dat"]), "quoted": ".csv"}[form]
    return out.getvalue(), suffix, lambda data: read_csv(data, delimiter, form == "inter")


def _number(time: float) -> str:
    return str(int(time))


def _iso(time: float) -> str:
    return (datetime(1970, 1, 1) + timedelta(seconds=time)).isoformat(" ")


def seconds(text: str) -> float:
    """A time as it is written plainly: a number, or an ISO date."""
    text = text.strip()
    try:
        if text.isascii() and text.lower().strip("+-.0123456789e") == "" and text:
            return float(text)
        date = datetime.fromisoformat(text)
    except ValueError:
        raise Unsure from None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def read_csv(data: bytes, delimiter: str, bare: bool) -> Rows:
    """Every row has as many fields as the header; quotes match; ids are there."""
    text = data.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\x1a").decode("utf-8", "surrogateescape")
    if any(mark in text for mark in "\x00\x1c\x1d\x1e\x85\u2028\u2029\x0b\x0c"):
        raise Unsure
    text = text.replace("\r\n", "\n")
    if "\r" in text:
        raise Unsure
    quoting = csv.QUOTE_NONE if bare else csv.QUOTE_MINIMAL
    try:
        table = list(
            csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, quoting=quoting)
        )
    except csv.Error:
        raise Unreadable("quotes do not match") from None
    table = [row for row in table if len(row) == len(table[0]) or "".join(row).strip()]
    typed = {"user_id:token": "user", "item_id:token": "item", "timestamp:float": "time"}
    names = [typed.get(name, name) for name in table[0]]
    if sorted(names) not in (["item", "time", "user"], ["item", "rating", "time", "user"]):
        raise Unsure
    if any(len(row) != len(names) for row in table):
        raise Unreadable("rows of several widths")
    user, item, time = (names.index(name) for name in ("user", "item", "time"))
    rows = [(row[user], row[item], row[time]) for row in table[1:]]
    if any("\udc80" <= letter <= "\udcff" for row in rows for letter in "".join(row)):
        raise Unreadable("not UTF-8")  # in a column that is read
    return _complete(rows)


def read_json(data: bytes) -> Rows:
    """One object on each line, with a text as user and item and a number as time."""
    rows = []
    for line in _decoded(data).replace("\r\n", "\n").split("\n"):
        if not line.strip():
            continue
        try:
            record = json.loads(line, parse_constant=lambda name: _raise(Unsure()))
        except (ValueError, RecursionError):
            raise Unreadable("a line is no JSON") from None
        if not isinstance(record, dict):
            raise Unreadable("a line is no object")
        found = [record.get(name) for name in ("user", "item", "time")]
        if any(isinstance(one, list | dict | bool | float) for one in found[:2]) or set(record) - {
            "user",
            "item",
            "time",
        }:
            raise Unsure
        rows.append(tuple("" if one is None else str(one) for one in found))
    return _complete(rows)


def _raise(error: Exception) -> Any:
    raise error


def _complete(rows: list[Any]) -> Rows:
    if any(not bare(user) or not bare(item) for user, item, _ in rows):
        raise Unreadable("an id is missing")
    if any(not time.strip() for _, _, time in rows):
        raise Unreadable("a time is missing")
    return [(user, item, seconds(time)) for user, item, time in rows]


def _decoded(data: bytes) -> str:
    try:
        return data.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\x1a").decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("not UTF-8") from None


def case_of_file(path: Path, read: Callable[[bytes], Rows], must: bool, **settings: Any) -> Case:
    """Read a file as a log, and compare it with the strict reading of its bytes."""

    def check(log: Any) -> None:
        try:
            rows = read(path.read_bytes())
        except Unsure:
            return
        except Unreadable as error:
            raise Fault(f"accepted, though {error}") from None
        check_log(log, rows)

    words = ["data", "describe", str(path), "--json"]
    for name, value in {**SETTINGS, **settings}.items():
        words += ["--set", f"data.{name}={value}"]
    return Case(lambda: farzi.load_log(path, **SETTINGS, **settings), check, words, must)


def plain_file(rng: random.Random, folder: Path) -> Case:
    """A log as people have it, or with odd ids or mixed line ends; without damage."""
    odd = rng.random() < 0.4
    text, suffix, read = written(made(rng, odd), rng, plain=not odd)
    path = folder / f"log{suffix}"
    path.write_bytes(rng.choice([b"", b"", b"\xef\xbb\xbf"]) + text.encode("utf-8", "surrogatepass"))
    return case_of_file(path, read, must=not odd)


def damaged_file(rng: random.Random, folder: Path) -> Case:
    """A log of text after damage."""
    text, suffix, read = written(made(rng, rng.random() < 0.2), rng, plain=True)
    path = folder / f"log{suffix}"
    path.write_bytes(damaged(text.encode(), rng))
    return case_of_file(path, read, must=False)


def packed_file(rng: random.Random, folder: Path) -> Case:
    """A compressed log; one in five as it should be, the others damaged before or after packing."""
    text, suffix, read = written(made(rng, False), rng, plain=True)
    packing = rng.choice(list(PACKED))
    pack, unpack = PACKED[packing]
    fate, data = rng.random(), text.encode()
    data = damaged(pack(data), rng) if fate < 0.5 else pack(damaged(data, rng) if fate < 0.8 else data)
    path = folder / f"log{suffix}{packing}"
    path.write_bytes(data)

    def unpacked(data: bytes) -> Rows:
        try:
            content = unpack(data)
        except (Unsure, OSError, EOFError, ValueError, lzma.LZMAError, zlib.error, zipfile.BadZipFile):
            raise Unsure from None
        except (RuntimeError, NotImplementedError):
            raise Unsure from None
        return read(content)

    return case_of_file(path, unpacked, must=fate >= 0.8)


def bomb(rng: random.Random, folder: Path) -> Case:
    """A small file that holds 64 MiB or 2 GiB, as streams one after the other: it is refused or read."""
    packing = rng.choice([".gz", ".bz2", ".xz"])
    pack, rows = PACKED[packing][0], b"u,i,1\n" * (1 << 18)
    path = folder / f"log.csv{packing}"
    path.write_bytes(pack(b"user,item,time\n") + pack(rows) * rng.choice([43, 1366]))
    return Case(lambda: farzi.load_log(path, **SETTINGS))


def parquet(rng: random.Random, folder: Path) -> Case:
    """A Parquet file with columns of several types, half of them damaged."""
    frame, rows = _frame(rng)
    path = folder / "log.parquet"
    frame.write_parquet(path, compression=rng.choice(["zstd", "snappy", "uncompressed", "gzip"]))
    if rng.random() < 0.5:
        return case_of_file(path, lambda data: _given(rows), must=rows is not None)
    path.write_bytes(damaged(path.read_bytes(), rng))
    return case_of_file(path, lambda data: _given(None), must=False)  # pages have no checksum


def frame(rng: random.Random, folder: Path) -> Case:
    """A frame of polars, pandas or pyarrow."""
    table, rows = _frame(rng)
    table.write_parquet(folder / "frame.parquet")  # so that a fault can be looked at
    library = rng.choice(["polars", "pandas", "pyarrow"])
    given = {"polars": lambda: table, "pandas": table.to_pandas, "pyarrow": table.to_arrow}[library]()

    def check(log: Any) -> None:
        if rows is not None:
            check_log(log, rows)

    return Case(lambda: farzi.load_log(given, **SETTINGS), check, must=rows is not None)


def _given(rows: Rows | None) -> Rows:
    if rows is None:
        raise Unsure
    return rows


def _frame(rng: random.Random) -> tuple[pl.DataFrame, Rows | None]:
    """A frame, and its rows if every value in it is plain."""
    rows = made(rng, odd=rng.random() < 0.2)
    users, items, times = (list(column) for column in zip(*rows, strict=True))
    plain = True
    series = {"user_id": pl.Series(users), "item_id": pl.Series(items), "timestamp": pl.Series(times)}
    if all(one.isascii() and one.isdigit() for one in items) and rng.random() < 0.7:
        series["item_id"] = pl.Series(list(map(int, items))).cast(
            rng.choice([pl.Int64, pl.UInt16, pl.Float64])
        )
    elif rng.random() < 0.3:
        series["item_id"] = series["item_id"].cast(pl.Categorical)
    kind = rng.choice(["float", "int", "datetime", "text"])
    if kind == "int":
        series["timestamp"] = series["timestamp"].cast(pl.Int64)
    elif kind == "datetime":
        unit, factor = rng.choice([("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
        zone = rng.choice([None, "UTC", "Asia/Tokyo"])
        whole = series["timestamp"].cast(pl.Int64) * factor
        series["timestamp"] = whole.cast(pl.Datetime(unit, zone))  # pyright: ignore[reportArgumentType]
    elif kind == "text":
        series["timestamp"] = series["timestamp"].cast(pl.Int64).cast(pl.String)
    if rng.random() < 0.4:
        plain = False
        name = rng.choice(list(series))
        odd = [
            None,
            float("nan"),
            "",
            " ",
            [1],
            {"a": 1},
            b"x",
            True,
            1.5,
            2**63,
            datetime(1, 1, 1),
            timedelta(1),
        ]
        value, values = rng.choice(odd), series[name].to_list()
        values[rng.randrange(len(values))] = value
        try:
            series[name] = pl.Series(values, strict=False)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
            series[name] = pl.Series([value] * len(values))
        if series[name].dtype == pl.Object:  # which no file holds
            series[name] = pl.Series([value] * len(values))
    if any(not item.strip() for item in items):
        plain = False
    return pl.DataFrame(series), rows if plain else None


def names(rng: random.Random, folder: Path) -> Case:
    """A log with a file of readable names, damaged in half of the cases."""
    rows = made(rng, False)
    log = folder / "log.csv"
    log.write_text("user,item,time\n" + "".join(f"{u},{i},{int(t)}\n" for u, i, t in rows))
    ids = sorted({item for _, item, _ in rows})
    titles = {
        one: rng.choice(["", f"Title {one}", f'A "{one}", again', f"日本 {one}", "\x1b[31mred"])
        for one in ids
    }
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([("item_id", "title"), *titles.items()])
    plain = rng.random() < 0.5
    path = folder / "names.csv"
    path.write_bytes(out.getvalue().encode() if plain else damaged(out.getvalue().encode(), rng))

    def check(log: Any) -> None:
        frame = log.vocabulary.frame
        read = dict(zip(frame["id"].to_list()[1:], frame["name"].to_list()[1:], strict=True))
        if plain and read != {one: title.strip() or None for one, title in titles.items()}:
            raise Fault(f"names differ: read {read}, in the file {titles}")

    case = case_of_file(log, lambda data: rows, False, names=str(path))
    return Case(case.run, check, case.words)


FORMATS: dict[str, Callable[[random.Random, Path], Case]] = {
    "log, as written": plain_file,
    "log, damaged": damaged_file,
    "log, compressed": packed_file,
    "log, Parquet": parquet,
    "log, frame": frame,
    "names": names,
    "bomb": bomb,
}
