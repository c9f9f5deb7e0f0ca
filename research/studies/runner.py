"""Measuring a study row by row: what is left, one row, and a rerun compared with the recorded row."""

import difflib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from farzi.errors import FarziError
from farzi.evaluation import METRICS
from farzi.provenance import provenance
from research.studies.bench import Bench
from research.studies.conclusions import bare, interval_of
from research.studies.rows import Done
from research.studies.study import Row, Setting, Study, same_values


@dataclass(frozen=True)
class Rerun:
    """A figure of a row measured again.

    Attributes:
        figure: its name.
        mean: now.
        low: lower end of the recorded interval.
        high: upper end.
    """

    figure: str
    mean: float
    low: float
    high: float

    @property
    def within(self) -> bool:
        """Whether it lies in the recorded interval, up to rounding."""
        slack = 1e-6 * max(1.0, abs(self.low), abs(self.high))
        return self.low - slack <= self.mean <= self.high + slack


def left(rows: Sequence[Row], done: dict[str, Done]) -> list[Row]:
    """The rows that are not recorded, or only with other settings."""
    return [row for row in rows if row.key not in done or not is_current(row, done[row.key])]


def is_current(row: Row, done: Done) -> bool:
    """Whether a recorded row was measured with the settings that the row has today."""
    return same_values(done.values, row.values(), row.values(brief=True))


def current(rows: Sequence[Row], done: dict[str, Done]) -> list[Done]:
    """The recorded rows of a grid, in its order, without those of other settings."""
    return [done[row.key] for row in rows if row.key in done and is_current(row, done[row.key])]


def measure(row: Row, bench: Bench, command: str) -> Done:
    """Measure all repetitions of a row. A row that fails has no figures but the reason.

    Args:
        row: what is measured.
        bench: its data and caches.
        command: that reruns it.

    Raises:
        KeyboardInterrupt: as distillation does; what is in the caches stays.
    """
    begin, failure = time.perf_counter(), ""
    measured: list[dict[str, float]] = []
    try:
        for repeat in row.repeats():
            bench.doing(f"{row.key}: {repeat.number + 1} of {row.seeds}")
            measured.append(row.work(bench, repeat))
    except FarziError as error:  # a summary wider than the log has items, a training that diverges: a finding
        measured, failure = [], str(error).replace(f"{bench.cache}/", "")
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        measured, failure = [], "out of memory"
    names = list(dict.fromkeys(name for one in measured for name in one))
    figures: dict[str, list[float | None]] = {
        name: [_finite(one.get(name)) for one in measured] for name in names
    }
    seconds = round(time.perf_counter() - begin, 1)
    origin = {key: value for key, value in provenance(bench.device).items() if key != "command"}
    return Done(row.key, dict(row.labels), figures, seconds, command, origin, row.values(), failure)


def rerun(row: Row, recorded: Done, bench: Bench) -> list[Rerun]:
    """Measure a recorded row again and compare it with the recorded intervals; nothing is written.

    A row of one repetition has no interval: its figures must then be equal.
    """
    again = measure(row, bench, recorded.command)
    judged = [name for name in recorded.figures if bare(name) in METRICS]
    compared = []
    for name in judged or list(recorded.figures):
        before, now = interval_of(recorded, name), interval_of(again, name)
        if not math.isnan(before.mean):
            compared.append(Rerun(name, now.mean, before.low, before.high))
    return compared


def row_named(study: Study, setting: Setting, key: str) -> Row:
    """A row of a study by its key.

    Raises:
        FarziError: there is none; the line names similar ones.
    """
    rows = {row.key: row for row in study.grid(setting)}
    if key not in rows:
        near = difflib.get_close_matches(key, list(rows), n=3, cutoff=0.4) or list(rows)[:5]
        raise FarziError(f"--row {key}: {study.name} has no such row; there are {', '.join(near)}, ...")
    return rows[key]


def _out_of_memory(error: Exception) -> bool:
    """Whether Python or PyTorch, on either device, could not allocate memory."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
