"""The text in a file or a folder, plain or compressed, checked to be UTF-8 and told apart by part."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from farzi.data.opening import COMPRESSION_SUFFIXES, open_file
from farzi.errors import FarziError

TEXT_SUFFIX = ".txt"
PARTS = {"train": "train", "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid"} | {
    "test": "test",
    "training": "train",
}
"""The part that a word in a file's name stands for."""


@dataclass(frozen=True)
class Texts:
    """The contents of some files.

    Attributes:
        source: their name in messages.
        train: one string a file; all of them where nothing says what is held out.
        valid: those that the validation is given by; empty where it is not given.
        test: those of the test, given where `valid` is.
    """

    source: str
    train: tuple[str, ...]
    valid: tuple[str, ...] = ()
    test: tuple[str, ...] = ()


def read_texts(
    path: str | Path,
    valid: str | Path | None = None,
    test: str | Path | None = None,
    also: Iterable[str] = (),
) -> Texts:
    """Read a text file or a folder of them, plain or compressed (gz, xz, zst, bz2, zip with one member).

    Of a folder the files that end in `.txt` (before `.gz` and the like) are read in the order of their names,
    or all where none does; hidden ones and folders in it are not. Files with the words train, valid (or val,
    validation, dev) and test in their names are these parts.

    Args:
        path: the file or folder.
        valid: the file of the validation, where it is one of its own. So `test`.
        test: the file of the test.
        also: other words that would have been valid in the place of `path`, for the hint when there is no
            such file.

    Raises:
        FarziError: a file is missing, empty, damaged or not UTF-8 text (with its line); only one of `valid`
            and `test` is given; a folder has files for some of the parts and not for all.
    """
    path = Path(path)
    if (valid is None) != (test is None):
        raise FarziError(
            f"{path}: the validation and the test must both be given (--valid-file, --test-file), or neither"
        )
    found = {"": [path]} if not path.is_dir() else _by_part(path, given=valid is not None)
    if valid is not None and test is not None:
        found = {"train": found[""], "valid": [Path(valid)], "test": [Path(test)]}
    read = {part: tuple(read_text(one, also) for one in files) for part, files in found.items()}
    if "" in read:
        return Texts(str(path), read[""])
    return Texts(str(path), read["train"], read["valid"], read["test"])


def read_text(path: str | Path, also: Iterable[str] = ()) -> str:
    """The text in one file.

    Raises:
        FarziError: as `read_texts`.
    """
    content = open_file(path, also)
    if content.kind == "parquet":
        raise FarziError(f"{content.source}: is Parquet, not a text")
    return decode(content.data, content.source)


def decode(data: bytes, source: str) -> str:
    """Bytes as UTF-8. Raises FarziError with the line of the first that are not."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FarziError(
            f"{source}:{line}: not UTF-8 text (byte 0x{data[error.start]:02x}); "
            "convert it, as with iconv -f LATIN1 -t UTF-8"
        ) from None


def files_of(folder: Path) -> list[Path]:
    """The text files in a folder by name. Raises FarziError where there is none."""
    try:
        files = sorted(one for one in folder.iterdir() if one.is_file() and not one.name.startswith("."))
    except OSError as error:
        raise FarziError(f"{folder}: cannot be read ({error.strerror})") from None
    files = [one for one in files if _plain_name(one).endswith(TEXT_SUFFIX)] or files
    if not files:
        raise FarziError(f"{folder}: the folder holds no files")
    return files


def part_of(file: Path) -> str:
    """The part that a file's name speaks of: "train", "valid", "test", or "" for none or several."""
    parts = {PARTS[word] for word in re.split("[^a-z]+", _plain_name(file)) if word in PARTS}
    return parts.pop() if len(parts) == 1 else ""


def _by_part(folder: Path, given: bool) -> dict[str, list[Path]]:
    files = files_of(folder)
    found: dict[str, list[Path]] = {}
    for file in files:
        found.setdefault(part_of(file), []).append(file)
    named = [part for part in ("train", "valid", "test") if part in found]
    if given or len(named) < 2:
        return {"": files}
    for part in ("train", "valid", "test"):
        if part not in found:
            raise FarziError(f"{folder}: has files for {' and '.join(named)} by their names, none for {part}")
    if "" in found:
        raise FarziError(
            f"{found[''][0]}: neither train, valid nor test by its name, as others in the folder are; "
            "move it away"
        )
    return found


def _plain_name(file: Path) -> str:
    name = file.name.lower()
    for suffix in COMPRESSION_SUFFIXES:
        name = name.removesuffix(suffix)
    return name
