"""Text files and what they hold: their parts, documents and lines.

A document is a list of lines. Each line is followed by an end-of-line token, and no training window reaches
from one document into the next.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from farzi.data.content import COMPRESSION_SUFFIXES, read_content
from farzi.errors import FarziError

Document = list[str]
Parts = tuple[list[Document], list[Document], list[Document]]
"""Documents for training, validation and test."""

PARTS = {"train": ("train", "training"), "valid": ("valid", "validation", "val", "dev"), "test": ("test",)}
"""The words in a file's name that assign it to a part."""
LINES = {
    "sentences": "each line is a sentence, a file is one running text",
    "documents": "each line is a document",
    "running": "line breaks are spaces, a file is one running text",
}
"""The rules for lines, and each in words."""


def read_texts(
    path: str | Path, valid: str | Path | None = None, test: str | Path | None = None
) -> dict[str, list[str]]:
    """The contents of a text file or a folder of them by part: all in "train" if nothing is held out.

    Files may be compressed (gz, xz, zst, bz2, zip with one member). In a folder the files that end in `.txt`
    (before `.gz` and the like) are read in the order of their names, or all files if none does; hidden files
    and subfolders are ignored. Files with the words train, valid (or val, validation, dev) and test in their
    names are these parts.

    Args:
        path: the file or folder.
        valid: the validation file, if it is separate; only together with `test`.
        test: the test file.

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
    return {part: [read_text(one) for one in paths] for part, paths in files.items()}


def read_text(path: str | Path, allowed: str = "") -> str:
    """The text in one file; `allowed` are control characters in it. Raises FarziError as `read_texts`."""
    content = read_content(path, allowed)
    if content.kind == "parquet":
        raise FarziError(f"{path}: a Parquet file, not a text")
    try:
        return content.data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.data.count(b"\n", 0, error.start) + 1
        raise FarziError(
            f"{path}:{line}: not UTF-8 text (byte 0x{content.data[error.start]:02x}); "
            "convert it, as with iconv -f LATIN1 -t UTF-8"
        ) from None


def text_files(folder: Path) -> list[Path]:
    """The text files in a folder by name. Raises FarziError if there is none."""
    try:
        files = sorted(one for one in folder.iterdir() if one.is_file() and not one.name.startswith("."))
    except OSError as error:
        raise FarziError(f"{folder}: cannot be read ({error.strerror})") from None
    files = [one for one in files if _plain_name(one).endswith(".txt")] or files
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


def documents_of(text: str, lines: str) -> list[Document]:
    """The documents in the text of one file by a rule of `LINES`; blank lines and documents are left out."""
    if lines == "running":
        text = text.strip()
        return [[text]] if text else []
    stripped = [line for line in (line.strip() for line in text.split("\n")) if line]
    if lines == "documents":
        return [[line] for line in stripped]
    return [stripped] if stripped else []


def split_documents(documents: Sequence[Document], valid: float, test: float, source: str) -> Parts:
    """Split by position: the last share `test` of all characters, and the share `valid` before it.

    Documents stay whole if each part then has one. Otherwise lines stay whole, each in the part that its
    middle lies in. Otherwise a line is cut at white space.

    Raises:
        FarziError: the shares leave nothing for training, or the text, named `source`, is too short for three
            parts.
    """
    if valid + test >= 1:
        raise FarziError(f"data.valid and data.test must together be below 1, got {valid:g}, {test:g}")
    cuts = (1 - valid - test, 1 - test)
    parts = _split(enumerate(documents), *cuts)
    if not all(parts):
        lines = ((index, [line]) for index, document in enumerate(documents) for line in document)
        parts = _split(lines, *cuts)
    if not all(parts):
        parts = _split_between_words(documents, *cuts)
    if not all(parts):
        raise FarziError(
            f"{source}: too short for a split into training, validation and test "
            f"({valid:g} and {test:g} held out)"
        )
    return parts


def _split(pieces: Iterable[tuple[int, Document]], first: float, second: float) -> Parts:
    """Whole pieces, each with the index of its document, in the part that their middle lies in."""
    pieces = list(pieces)
    size = np.array([sum(map(len, lines)) for _, lines in pieces], float)
    middle = (np.cumsum(size) - size / 2) / max(1.0, size.sum())
    assigned = np.searchsorted([first, second], middle, side="right")
    parts: Parts = ([], [], [])
    for part, documents in enumerate(parts):
        chosen = (piece for piece, its in zip(pieces, assigned, strict=True) if its == part)
        for _, group in itertools.groupby(chosen, key=lambda piece: piece[0]):
            documents.append([line for _, lines in group for line in lines])
    return parts


def _split_between_words(documents: Sequence[Document], first: float, second: float) -> Parts:
    text = "\n".join(line for document in documents for line in document)
    cut = _next_space(text, round(len(text) * first))
    end = _next_space(text, max(cut + 1, round(len(text) * second)))
    train, valid, test = (
        [[piece]] if (piece := text[start:stop].strip()) else []
        for start, stop in ((0, cut), (cut, end), (end, len(text)))
    )
    return train, valid, test


def _next_space(text: str, position: int) -> int:
    """The first white space at or after `position`; the end of the text if there is none."""
    match = re.compile(r"\s").search(text, position)
    return match.start() if match else len(text)
