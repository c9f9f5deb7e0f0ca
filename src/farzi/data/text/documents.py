"""Text files and what they hold: their parts, documents and lines.

A document is a list of lines. Each line is followed by an end-of-line token, unless a split cuts it there,
and no training window reaches from one document into the next.
"""

import re
from pathlib import Path

from farzi.data.content import COMPRESSION_SUFFIXES, RECODE, read_content
from farzi.errors import FarziError

Document = list[str]


class OpenLine(str):
    """The beginning of a line that continues in the next part of a text: no end-of-line token follows it."""


Parts = tuple[list[Document], list[Document], list[Document]]
"""Documents for training, validation and test."""

PARTS = {"train": ("train", "training"), "valid": ("valid", "validation", "val", "dev"), "test": ("test",)}
"""The words in a file's name that assign it to a part."""
ABOUT = re.compile(r"(readme|licen[cs]e|copying|notice|changelog|sha256sums|md5sums)\b", re.IGNORECASE)
"""Names of files that are about the others."""
LINES = {
    "sentences": "each line is a sentence, a file is one running text",
    "documents": "each line is a document",
    "running": "line breaks are spaces, a file is one running text",
}
"""The rules for lines, and each in words."""


def read_texts(
    path: str | Path,
    valid: str | Path | None = None,
    test: str | Path | None = None,
    encoding: str | None = None,
) -> dict[str, list[str]]:
    """The contents of a text file or a folder of them by part: all in "train" if nothing is held out.

    Files may be compressed (gz, xz, zst, bz2, zip with one member). If a folder has files with the words
    train, valid (or val, validation, dev) and test in their names, these are the parts, whatever else is
    there. Otherwise the files that end in `.txt` (before `.gz` and the like) are read in the order of their
    names, or all files if none does. Hidden files, subfolders, and README, LICENSE and the like are ignored.

    Args:
        path: the file or folder.
        valid: the validation file, if it is separate; only together with `test`.
        test: the test file.
        encoding: of all files; UTF-8 if None.

    Raises:
        FarziError: a file is missing, empty, damaged or not UTF-8 text (with its line); only one of `valid`
            and `test` is given; a folder has files for two of the parts and not for the third.
    """
    path = Path(path)
    if (valid is None) != (test is None):
        raise FarziError(f"{path}: give both data.valid_file and data.test_file, or neither")
    files = {"train": [path]} if not path.is_dir() else _files_by_part(path, given=valid is not None)
    if valid is not None and test is not None:
        files |= {"valid": [Path(valid)], "test": [Path(test)]}
    return {part: [read_text(one, encoding=encoding) for one in paths] for part, paths in files.items()}


def read_text(path: str | Path, allowed: str = "", encoding: str | None = None) -> str:
    """The text in one file; `allowed` are control characters in it. Raises FarziError as `read_texts`."""
    content = read_content(path, allowed, encoding)
    if content.kind == "parquet":
        raise FarziError(f"{path}: a Parquet file, not a text")
    try:
        return content.data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.data.count(b"\n", 0, error.start) + 1
        raise FarziError(
            f"{path}:{line}: not UTF-8 text (byte 0x{content.data[error.start]:02x}); {RECODE}"
        ) from None


def files_of(folder: Path) -> list[Path]:
    """The files in a folder by name, without hidden ones and those about the others, such as README.

    Raises:
        FarziError: there is none, or the folder cannot be read.
    """
    try:
        files = sorted(one for one in folder.iterdir() if one.is_file() and not one.name.startswith("."))
    except OSError as error:
        raise FarziError(f"{folder}: cannot be read ({error.strerror})") from None
    files = [one for one in files if not ABOUT.match(one.name)] or files
    if not files:
        raise FarziError(f"{folder}: the folder has no files")
    return files


def part_of(file: Path) -> str | None:
    """The part that a file's name assigns it to: "train", "valid" or "test"; None for no part or several."""
    words = set(re.split("[^a-z]+", _plain_name(file)))
    parts = [part for part, names in PARTS.items() if words.intersection(names)]
    return parts[0] if len(parts) == 1 else None


LOG_SUFFIXES = (".csv", ".tsv", ".dat", ".inter", ".parquet", ".jsonl", ".ndjson")


def _files_by_part(folder: Path, given: bool) -> dict[str, list[Path]]:
    files = files_of(folder)
    if logs := [file.name for file in files if _plain_name(file).endswith(LOG_SUFFIXES)]:
        raise FarziError(
            f"{folder}: holds {logs[0]}: to read a log, give its file; a folder of texts has other files "
            "such as .txt alone"
        )
    texts = [file for file in files if _plain_name(file).endswith(".txt")] or files
    for those in () if given else (texts, files):
        by_part = {part: [file for file in those if part_of(file) == part] for part in PARTS}
        if all(by_part.values()):
            for part, those in by_part.items():
                kinds = {re.sub(rf"{part}|[\d\W_]", "", _plain_name(file)): file.name for file in those}
                if len(kinds) > 1:
                    names = " and ".join(list(kinds.values())[:2])
                    raise FarziError(
                        f"{folder}: has several texts for {part}, such as {names}; leave one kind there"
                    )
            return by_part
    named = [] if given else [part for part in PARTS if any(part_of(file) == part for file in files)]
    if len(named) > 1:
        lacking = next((part for part in PARTS if part not in named), "one of them that ends in .txt")
        raise FarziError(f"{folder}: has files for {' and '.join(named)} by their names, none for {lacking}")
    return {"train": texts}


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
