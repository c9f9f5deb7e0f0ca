"""A study's measured rows: `rows.jsonl`, one JSON object for each row.

A row measured again is appended. The last one of each key counts; none is lost.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from farzi.errors import FarziError
from farzi.files import finite_values, locked, write_text_atomic
from research.studies.former import converted

ROWS = "rows.jsonl"


@dataclass(frozen=True)
class Done:
    """A row with its figures.

    Attributes:
        key: the row's.
        labels: the row's.
        figures: by name, one for each repetition; None where it is not finite.
        seconds: wall-clock time, without distillations that were cached.
        command: reruns this row alone.
        origin: farzi's version, commit, date, machine, versions.
        values: all that the figures depend on, as `Row.values()` gave it.
        failure: why there are no figures, in one line; empty if there are.
    """

    key: str
    labels: Mapping[str, Any]
    figures: Mapping[str, list[float | None]]
    seconds: float
    command: str
    origin: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""

    def line(self) -> str:
        """Its line of the file."""
        return json.dumps(finite_values(asdict(self)), allow_nan=False, ensure_ascii=False) + "\n"


def read_rows(folder: str | Path) -> dict[str, Done]:
    """The rows of a study's folder by key, the last of each; empty if there is no file.

    Rows recorded with recipes of a former form are converted (`research.studies.former`).

    Raises:
        FarziError: a line is damaged; it is named.
    """
    path = Path(folder) / ROWS
    rows: dict[str, Done] = {}
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line:
            continue
        try:
            values: dict[str, Any] = json.loads(line)
            done = Done(**{**values, "values": converted(values.get("values", {}))})
        except (ValueError, TypeError, KeyError):
            raise FarziError(f"{path}:{number}: not a row of a study; remove the line") from None
        rows[done.key] = done
    return rows


def append_row(folder: str | Path, done: Done) -> None:
    """Append a row; the file is replaced as a whole, by one process at a time.

    Raises:
        OSError: the disk is full or the folder cannot be written; the file is unchanged.
    """
    path = Path(folder) / ROWS
    with locked(path, wait=True):
        write_text_atomic(path, _text(path) + done.line())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise FarziError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise FarziError(f"{path}: is not UTF-8 text; restore it") from None
