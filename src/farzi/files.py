"""Files that are whole or not there: a write goes to a temporary sibling and is renamed when complete."""

import hashlib
import json
import math
import os
import secrets
from pathlib import Path
from typing import Any


def write_bytes_atomic(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`; a reader sees the old content or the new, never a part.

    The folder must exist. An existing file is replaced.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` is then as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # the content is on the disk before the name is
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text_atomic(path: str | Path, text: str) -> None:
    """`write_bytes_atomic` for text, as UTF-8 with the line ends given."""
    write_bytes_atomic(path, text.encode("utf-8"))


def remove_leftovers(folder: str | Path) -> None:
    """Remove the temporary files that writes into `folder` have left behind where the process was killed."""
    for path in Path(folder).glob(".*.tmp"):
        if path.is_file():
            path.unlink(missing_ok=True)


def parse_json(text: str | bytes, kind: type = dict) -> Any:
    """The value of a JSON text, which somebody else may have written.

    Raises:
        ValueError: it is no UTF-8, no JSON, nested too deeply, or no `kind`; or a number is NaN or infinite.
    """

    def finite(word: str) -> float:
        if not math.isfinite(number := float(word)):
            raise ValueError(f"the number {word:.20}")
        return number

    try:
        text = text.decode() if isinstance(text, bytes) else text
        value = json.loads(text, parse_float=finite, parse_constant=finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, kind):
        raise ValueError(f"a {kind.__name__} is needed, not a {type(value).__name__}")
    return value


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def finite_values(values: Any) -> Any:
    """The same nested lists and dicts; None for a number that is not finite, which JSON has no word for."""
    if isinstance(values, dict):
        return {name: finite_values(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [finite_values(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values
