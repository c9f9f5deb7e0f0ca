"""The text of a file or a folder, plain or compressed, checked to be UTF-8 and assigned to its part."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from farzi.data.content import COMPRESSION_SUFFIXES, read_content
from farzi.errors import FarziError

TEXT_SUFFIX = ".txt"
PARTS = {"train": ("train", "training"), "valid": ("valid", "validation", "val", "dev"), "test": ("test",)}
"""The words in a file's name that assign it to a part."""


@dataclass(frozen=True)
class Texts:
    """The contents of some files.

    Attributes:
        source: their name in messages.
        train: one string for each file; all of them if nothing is held out.
        valid: the validation text; empty if it is not in separate files.
        test: the test text; empty if `valid` is.
    """

    source: str
    train: tuple[str, ...]
    valid: tuple[str, ...] = ()
    test: tuple[str, ...] = ()


def read_texts(
    path: str | Path,
    valid: str | Path | None = None,
    test: str | Path | None = None,
    alternatives: Iterable[str] = (),
) -> Texts:
    """Read a text file or a folder of them, plain or compressed (gz, xz, zst, bz2, zip with one member).

    In a folder the files that end in `.txt` (before `.gz` and the like) are read in the order of their names,
    or all files if none does; hidden files and subfolders are ignored. Files with the words train, valid (or
    val, validation, dev) and test in their names are these parts.

    Args:
        path: the file or folder.
        valid: the validation file, if it is separate; only together with `test`.
        test: the test file.
        alternatives: other valid words in place of `path`, for the hint if there is no such file.

    Raises:
        FarziError: a file is missing, empty, damaged or not UTF-8 text (with its line); only one of `valid`
            and `test` is given; a folder has files for some of the parts and not for all.
    """
    path = Path(path)
    if (valid is None) != (test is None):
        raise FarziError(f"{path}: give both data.valid_file and data.test_file, or neither")
    files = {"train": [path]} if not path.is_dir() else _files_by_part(path, given=valid is not None)
    if valid is not None and test is not None:
        files |= {"valid": [Path(valid)], "test": [Path(test)]}
    texts = {part: tuple(read_text(one, alternatives) for one in paths) for part, paths in files.items()}
    return Texts(str(path), **texts)


def read_text(path: str | Path, alternatives: Iterable[str] = ()) -> str:
    """The text in one file.

    Raises:
        FarziError: as `read_texts`.
    """
    content = read_content(path, alternatives)
    if content.kind == "parquet":
        raise FarziError(f"{content.source}: a Parquet file, not a text")
    return decode(content.data, content.source)


def decode(data: bytes, source: str) -> str:
    """Bytes as UTF-8. Raises FarziError with the line of the first invalid byte."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FarziError(
            f"{source}:{line}: not UTF-8 text (byte 0x{data[error.start]:02x}); "
            "convert it, as with iconv -f LATIN1 -t UTF-8"
        ) from None


def text_files(folder: Path) -> list[Path]:
    """The text files in a folder by name. Raises FarziError if there is none."""
    try:
        files = sorted(one for one in folder.iterdir() if one.is_file() and not one.name.startswith("."))
    except OSError as error:
        raise FarziError(f"{folder}: cannot be read ({error.strerror})") from None
    files = [one for one in files if _plain_name(one).endswith(TEXT_SUFFIX)] or files
    if not files:
        raise FarziError(f"{folder}: the folder has no files")
    return files


def part_of(file: Path) -> str | None:
    """The part that a file's name assigns it to: "train", "valid" or "test"; None for no part or several."""
    words = set(re.split("[^a-z]+", _plain_name(file)))
    parts = [part for part, names in PARTS.items() if words.intersection(names)]
    return parts[0] if len(parts) == 1 else None


def _files_by_part(folder: Path, given: bool) -> dict[str, list[Path]]:
    files = text_files(folder)
    by_part = {part: [file for file in files if part_of(file) == part] for part in PARTS}
    named = [part for part in PARTS if by_part[part]]
    if given or len(named) < 2:
        return {"train": files}
    for part in PARTS:
        if part not in named:
            raise FarziError(f"{folder}: has files for {' and '.join(named)} by their names, none for {part}")
    for file in files:
        if part_of(file) is None:
            raise FarziError(
                f"{file}: its name has neither train, valid nor test, as others here do; move it away"
            )
    return by_part


def _plain_name(file: Path) -> str:
    name = file.name.lower()
    for suffix in COMPRESSION_SUFFIXES:
        name = name.removesuffix(suffix)
    return name
