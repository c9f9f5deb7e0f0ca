"""The journal of a run: a file in its folder that holds each report as a line, while the run is at work.

`farzi watch` reads it. It is there as long as its process is: what lasts is in the run's own files.
"""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from farzi.files import finite_values
from farzi.progress import Progress, Several, StepReport, Validated

JOURNAL = ".farzi-progress"
"""Its name; no other program uses it."""

EVERY = 0.25
"""Seconds at least between two lines on how far a part is, which come often."""


@contextmanager
def journal(folder: Path, progress: Progress) -> Iterator[Progress]:
    """Keep a journal in a folder that this process has locked; yields what is to receive the reports.

    Where it cannot be written the run goes on without it.
    """
    path = folder / JOURNAL
    writer = Journal(path)
    with suppress(OSError):
        # in place of one that a killed run left; its first line tells it from any other
        path.write_text(json.dumps({"journal": secrets.token_hex(8)}) + "\n")
    try:
        yield Several(progress, writer)
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


class Journal(Progress):
    """Writes each report as one JSON object with its `time` (seconds since 1970) and its `kind`."""

    def __init__(self, path: Path) -> None:
        self._path, self._passed = path, 0.0

    def message(self, text: str) -> None:
        self._write("message", text=text)

    def doing(self, text: str) -> None:
        self._write("doing", text=text)

    def passing(self, text: str) -> None:
        if time.monotonic() - self._passed >= EVERY:
            self._passed = time.monotonic()
            self._write("doing", text=text)

    def warning(self, text: str) -> None:
        self._write("warning", text=text)

    def stage(self, name: str, text: str, seconds: float) -> None:
        self._write("stage", name=name, text=text, seconds=seconds)

    def step(self, number: int, fraction: float, seconds: float, report: StepReport) -> None:
        facts = {"number": number, "fraction": fraction, "seconds": seconds, **report._asdict()}
        self._write("step", **facts)

    def validation(self, number: int, result: Validated, best: bool) -> None:
        self._write("validation", number=number, relative=dict(result.relative), best=best)

    def _write(self, kind: str, **values: Any) -> None:
        line = json.dumps(finite_values({"time": round(time.time(), 2), "kind": kind, **values}))
        with suppress(OSError), open(self._path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
