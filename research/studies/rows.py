"""A study's raw rows: `rows.jsonl`, one JSON object a row, each whole or not there.

A row that is measured again is added at the end; the last one of a key counts, and none is lost.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from farzi.errors import FarziError
from farzi.files import finite_values, write_text_atomic

ROWS = "rows.jsonl"


@dataclass(frozen=True)
class Done:
    """A row that was measured.

    Attributes:
        key: the row's.
        labels: the row's.
        figures: by name, one a repetition; None where it is not finite.
        seconds: that it took, distillations included unless the study had them already.
        command: reruns this row alone.
        origin: farzi's version, commit, date, machine, versions.
        values: all that the figures depend on.
        failure: why there are no figures, in a line; empty where there are.
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
        """As it stands in the file."""
        return json.dumps(finite_values(asdict(self)), allow_nan=False, ensure_ascii=False) + "\n"


def read_rows(folder: str | Path) -> dict[str, Done]:
    """The rows of a study's folder by key, the last of each; none where the file is not there.

    Raises:
        FarziError: a line is damaged; it is named.
    """
    path = Path(folder) / ROWS
    found: dict[str, Done] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        try:
            done = Done(**json.loads(line))
        except (ValueError, TypeError):
            raise FarziError(f"{path}:{number}: not a row of a study; take the line out") from None
        found[done.key] = done
    return found


def append_row(folder: str | Path, done: Done) -> None:
    """Add a row at the end of the file, which is then replaced as a whole.

    Raises:
        OSError: the disk is full or the folder cannot be written; the file is as it was.
    """
    path = Path(folder) / ROWS
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
