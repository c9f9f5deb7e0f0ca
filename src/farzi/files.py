"""Files that are whole or not there, and locks on them.

A write goes to a temporary sibling and is renamed when complete. Its process holds the sibling by `flock`, as
it holds the lock file of a folder at work: the system frees both when the process ends, however it ends. What
nobody holds is a leftover of a killed process.
"""

import errno
import hashlib
import json
import math
import os
import platform
import re
import secrets
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from farzi.errors import FarziError

if sys.platform != "win32":
    import fcntl

TEMPORARY, LOCK = ".farzi-tmp", ".farzi-lock"
"""Ends of the names of temporary files and of lock files; no other program uses them."""

_HELD: set[tuple[int, Path]] = set()  # (thread, lock file): a thread that holds a lock may take it again


def place(path: str | Path) -> Path:
    """A path to write to; FarziError where it is empty, as that of an unset variable is."""
    if not str(path):
        raise FarziError("an empty path names no place to write to")
    return Path(path)


def write_bytes_atomic(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`; a reader sees the old content or the new, never a part. See `written`."""
    with written(path) as file:
        file.write(data)


@contextmanager
def written(path: str | Path) -> Iterator[IO[bytes]]:
    """A file to write to, which takes its place at `path` when the block ends; not if it raises.

    The folder must exist. A file is replaced, a link is followed. A device or a pipe is written to.

    Raises:
        FarziError: the path is empty.
        OSError: the disk is full or the folder cannot be written; `path` is then as it was.
    """
    path = place(path)
    with _errors_name(path):
        if _is_special(path):
            with open(path, "wb") as file:
                yield file
            return
        target = _target(path)
        remove_leftovers(target.parent, target.name)
        temporary, file = _temporary(target)
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # the content is on the disk before the name is
                os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_text_atomic(path: str | Path, text: str) -> None:
    """`write_bytes_atomic` for text, as UTF-8 with the line ends given."""
    write_bytes_atomic(path, text.encode("utf-8"))


def remove_leftovers(folder: str | Path, name: str | None = None) -> None:
    """Remove temporary files that killed writes left in `folder`: of one file's name, or of all."""
    written = ".+" if name is None else re.escape(name)
    pattern = re.compile(rf"\.{written}\.[0-9a-f]{{8}}{re.escape(TEMPORARY)}", re.DOTALL)
    with suppress(OSError):
        for path in [Path(folder) / one for one in os.listdir(folder) if pattern.fullmatch(one)]:
            with suppress(OSError), open(path, "r+b") as file:
                if _flock(file):
                    path.unlink()


@contextmanager
def locked(path: str | Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a folder, or of a file to be written, and remove what killed writes left there.

    Devices, and file systems without `flock`, are not locked.

    Args:
        path: the folder or the file; the folder that the lock lies in must exist.
        wait: wait while another process holds it.

    Raises:
        FarziError: another process, or another thread, holds it; the line names the process.
        OSError: nothing can be written there.
    """
    path = place(path)
    if _is_special(path):
        yield
        return
    with _errors_name(path):
        target = _target(path)
        folder = target.is_dir()
        lock = target / LOCK if folder else target.with_name(f".{target.name}{LOCK}")
    mine = (threading.get_ident(), lock)
    if mine in _HELD:
        yield
        return
    with _errors_name(path):
        file = _take(lock, path, wait)
    with file:
        _HELD.add(mine)
        try:
            remove_leftovers(target if folder else target.parent, None if folder else target.name)
            yield
        finally:
            _HELD.remove(mine)
            lock.unlink(missing_ok=True)  # before it is freed: see `_same`


def holder(folder: str | Path) -> str | None:
    """The process that holds the lock of a folder, as `12 on host`; None if none does."""
    try:
        with open(Path(folder) / LOCK, "r+b") as file:
            if _flock(file) is True:
                return None  # it is free again at once, with the file
            return file.read().decode(errors="replace") or "unknown"
    except OSError:
        return None


def _take(lock: Path, path: Path, wait: bool) -> IO[bytes]:
    while True:
        file = open(lock, "a+b")  # noqa: SIM115
        try:
            if _flock(file, wait) is False:
                file.seek(0)
                holder = file.read().decode(errors="replace") or "unknown"
                raise FarziError(
                    f"{path}: another farzi is at work here (process {holder}); wait for its end, or choose "
                    "another place"
                )
            if _same(file, lock):
                file.truncate(0)
                file.write(f"{os.getpid()} on {platform.node()}".encode())
                file.flush()
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _temporary(target: Path) -> tuple[Path, IO[bytes]]:
    """A new temporary file beside `target`, held."""
    while True:
        path = target.with_name(f".{target.name}.{secrets.token_hex(4)}{TEMPORARY}")
        file = open(path, "xb")  # noqa: SIM115
        _flock(file, wait=True)
        if _same(file, path):
            return path, file
        file.close()


def _flock(file: IO[bytes], wait: bool = False) -> bool | None:
    """Hold an open file; False if another process does, None on a system that has no such locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _same(file: IO[bytes], path: Path) -> bool:
    """Whether an open file still has its name: who held it before may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _target(path: Path) -> Path:
    """What a path names in the end, links followed; it need not exist."""
    try:
        return Path(os.path.realpath(path, strict=True))
    except FileNotFoundError:
        return Path(os.path.realpath(path))


def _is_special(path: Path) -> bool:
    """Whether there is something that is neither a file nor a folder: a device, a pipe, a socket."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def _errors_name(path: Path) -> Iterator[None]:
    """Errors of the system name `path`, not a file beside it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from None


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
