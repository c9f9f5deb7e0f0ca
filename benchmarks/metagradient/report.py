"""Rows as Markdown: a table for each problem, the largest T that fits, exponents of the sweeps."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from benchmarks.metagradient.problem import Sizes

Row = dict[str, Any]
Points = dict[str, list[tuple[float, float]]]
"""(size, figure) of each contestant."""

SIZES = [field.name for field in fields(Sizes)]
SETTING = ("dtype", "device", "threads", "machine")
HEAD = (
    "",
    "seconds",
    "x training",
    "compile, s",
    "adds, MiB",
    "above training, MiB",
    "process, MiB",
    "error",
)


@dataclass(frozen=True)
class Sweep:
    """One size that varies.

    Attributes:
        over: its name; "parameters" for the student's width.
        seconds: medians.
        mebibytes: added by the run.
        parameter_bytes: what the parameters of the smallest student take.
    """

    over: str
    seconds: Points
    mebibytes: Points
    parameter_bytes: int


def report(rows: Sequence[Row]) -> str:
    """All there is to say about `rows`."""
    timed = [row for row in rows if row["repeats"]]
    tables = [_table(group) for group in _grouped(timed, lambda row: _problem(row))]
    return "\n\n".join(part for part in [*tables, _limits(rows), *map(_exponents, sweeps(rows))] if part)


def sweeps(rows: Sequence[Row]) -> list[Sweep]:
    """The sizes that vary in `rows` while all else stays the same."""
    good = [row for row in rows if row["status"] == "ok" and row["seconds"]]
    found = []
    for name in SIZES:
        for group in _grouped(good, lambda row: tuple(row[key] for key in [*SIZES, *SETTING] if key != name)):  # noqa: B023
            if len({row[name] for row in group}) > 2:
                over = "parameters" if name == "hidden" else name
                points = _points(group, over, seconds), _points(group, over, mebibytes)
                size = min(row["parameters"] for row in group) * np.dtype(group[0]["dtype"]).itemsize
                found.append(Sweep(over, *points, size))
    return found


def exponent(points: Iterable[tuple[float, float]]) -> float:
    """The slope of the straight line through (log size, log figure)."""
    x, y = np.log(np.array(list(points))).T
    return float(np.polyfit(x, y, 1)[0])


def seconds(rows: Sequence[Row]) -> float:
    """Median of a run, warm where there was a second one."""
    return statistics.median(taken for row in rows for taken in row["seconds"] or [row["first_seconds"]])


def mebibytes(rows: Sequence[Row]) -> float:
    """Median over processes of what a run adds at most; NaN where nobody counted."""
    found = [max(row["added_bytes"]) for row in rows if row["added_bytes"] and None not in row["added_bytes"]]
    return statistics.median(found) / 2**20 if found else float("nan")


def _table(rows: Sequence[Row]) -> str:
    """One problem: a line a contestant."""
    one = rows[0]
    ok = [row for row in rows if row["status"] == "ok"]
    training = [row for row in ok if row["contestant"].startswith("training")]
    lines = ["| " + " | ".join(HEAD) + " |", "|---" + "|---:" * (len(HEAD) - 1) + "|"]
    for group in _grouped(rows, lambda row: row["contestant"]):
        name = f"`{group[0]['contestant']}`"
        bad = [row for row in group if row["status"] != "ok"]
        if bad:
            lines.append(f"| {name} | {why(bad[0])} |" + " |" * (len(HEAD) - 2))
        else:
            lines.append(f"| {name} | " + " | ".join(_cells(group, training)) + " |")
    title = (
        f"**T = {one['steps']}, {one['sequences']} x {one['length']} soft events, V = {one['vocabulary']:,}, "
        f"SASRec {one['hidden']} x {one['layers']} (P = {one['parameters']:,})**"
    )
    versions = {row["contestant"].partition("(")[0]: row["version"] for row in ok}
    notes = [
        f"{one['dtype']}, learning rate {one.get('learning_rate', 0.02)}, {one['device']}, "
        f"{one['threads']} threads; {one['machine']}; "
        f"commit {one['commit']}, {one['date']}; `{one['command']}`.",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
    ]
    if one["reference"]:
        notes.append(f"Error: ‖X̄ − X̄*‖ / ‖X̄*‖, X̄* from `{one['reference']}` in float64.")
    return "\n".join([title, "", *lines, "", " ".join(notes)])


def _cells(group: Sequence[Row], training: Sequence[Row]) -> list[str]:
    """The figures of a contestant, medians over its turns."""
    by_turn = {row["turn"]: row for row in group}
    plain = {turn: _fastest([row for row in training if row["turn"] == turn]) for turn in by_turn}
    ratios = [seconds([row]) / seconds([plain[turn]]) for turn, row in by_turn.items() if plain[turn]]
    floor = min((mebibytes([row]) for row in training), default=float("nan"))
    compiling = max(row["first_seconds"] for row in group) - seconds(group)
    error = group[0]["error"]
    figures = [
        f"{seconds(group):.2f}",
        f"{statistics.median(ratios):.2f}" if ratios else "",
        f"{max(0.0, compiling):.1f}",
        f"{mebibytes(group):.1f}",
        "" if group[0] in training else f"{mebibytes(group) - floor:.1f}",
        f"{statistics.median(row['process_bytes'] for row in group) / 2**20:.0f}",
        "" if error is None else f"{error:.1e}",
    ]
    return ["" if figure == "nan" else figure for figure in figures]


def _fastest(rows: Sequence[Row]) -> Row:
    return min(rows, key=lambda row: seconds([row]), default={})


def _limits(rows: Sequence[Row]) -> str:
    """Who ran out of memory, and the largest T that fitted before."""
    lines = []
    for group in _grouped(rows, lambda row: (row["contestant"], *_problem(row)[1:])):
        failed = [row["steps"] for row in group if row["status"] == "out of memory"]
        fitted = [row["steps"] for row in group if row["status"] == "ok"]
        what = [f"T = {max(fitted)} fits"] if fitted else []
        what += [f"T = {min(failed)} does not"] if failed else []
        if failed or not any(row["repeats"] for row in group):
            name, limit = group[0]["contestant"], group[0]["limit_gib"]
            lines.append(f"- `{name}`, {limit:g} GiB: {', '.join(what) or why(group[0])}")
    return "\n".join(lines)


def _exponents(sweep: Sweep) -> str:
    """Exponents; and for T the memory of a step, in parameter vectors, from a straight line."""
    steps = sweep.over == "steps"
    head = [f"grows as a power of {sweep.over}", "seconds", "MiB added", *(["x P a step"] if steps else [])]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for name, points in sweep.seconds.items():
        memory = [point for point in sweep.mebibytes[name] if point[1] > 0]
        cells = [f"{exponent(line):.2f}" if len(line) > 1 else "" for line in (points, memory)]
        if steps and len(memory) > 1:
            x, y = np.array(memory).T
            slope, _ = np.polyfit(x, y, 1)
            cells.append(f"{slope * 2**20 / sweep.parameter_bytes:.2f}")
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _points(rows: Sequence[Row], over: str, figure: Callable[[Sequence[Row]], float]) -> Points:
    found: Points = defaultdict(list)
    for group in _grouped(rows, lambda row: (row["contestant"], row[over])):
        found[group[0]["contestant"]].append((float(group[0][over]), figure(group)))
    return {name: sorted(points) for name, points in found.items()}


def _problem(row: Row) -> tuple[Hashable, ...]:
    """What tells one problem from another; T first."""
    return tuple(row[key] for key in [*SIZES, *SETTING, "limit_gib"])


def why(row: Row) -> str:
    """Why a contestant gave nothing."""
    reason = "" if row["status"] == "out of memory" else f": {row['reason'].splitlines()[0]}"
    return row["status"] + reason.replace("|", "\\|")


def _grouped(rows: Iterable[Row], key: Callable[[Row], Hashable]) -> list[list[Row]]:
    groups: dict[Hashable, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return list(groups.values())
