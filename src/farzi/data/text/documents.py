"""Documents: what a line of a text file means, and the split into training, validation and test text.

A document is a list of lines. Each line is followed by an end-of-line token, and no training window reaches
from one document into the next.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np

from farzi.errors import FarziError

Document = list[str]
Parts = tuple[list[Document], list[Document], list[Document]]
"""Documents for training, validation and test."""

LINES = {
    "sentences": "each line is a sentence, a file is one running text",
    "documents": "each line is a document",
    "running": "line breaks are spaces, a file is one running text",
}
"""The rules for lines, and each in words."""


def documents_of(text: str, lines: str) -> list[Document]:
    """Cut the text of one file into documents; blank lines and documents are left out.

    Args:
        text: the content of the file.
        lines: "sentences" (the lines of a file follow each other, as in Penn Treebank), "documents" (each
            line is a document) or "running" (line breaks are ordinary white space).
    """
    if lines == "running":
        text = text.strip()
        return [[text]] if text else []
    stripped = [line for line in (line.strip() for line in text.split("\n")) if line]
    if lines == "documents":
        return [[line] for line in stripped]
    return [stripped] if stripped else []


def split_rule(valid: float, test: float) -> str:
    """The rule of `split_documents` in words."""
    return f"position: the last {test:.3g} of the text is the test, the {valid:.3g} before it the validation"


def split_documents(documents: Sequence[Document], valid: float, test: float, source: str) -> Parts:
    """Split by position: the last share `test` of all characters, and the share `valid` before it.

    Documents stay whole if each part then has one. Otherwise lines stay whole, each in the part that its
    middle lies in. Otherwise a line is cut at white space.

    Args:
        documents: of all files, in order.
        valid: share of the characters.
        test: share of the characters.
        source: name of the text in messages.

    Raises:
        FarziError: the shares leave nothing for training, or the text is too short for three parts.
    """
    if valid + test >= 1:
        raise FarziError(f"data.valid and data.test must together be below 1, got {valid:g}, {test:g}")
    cuts: tuple[Callable[[Sequence[Document], float, float], Parts], ...]
    cuts = (_split_between_documents, _split_between_lines, _split_between_words)
    for cut in cuts:
        parts = cut(documents, 1 - valid - test, 1 - test)
        if all(parts):
            return parts
    raise FarziError(
        f"{source}: too short for a split into training, validation and test "
        f"({valid:g} and {test:g} held out)"
    )


def _split_between_documents(documents: Sequence[Document], first: float, second: float) -> Parts:
    part_of = _part_of([sum(map(len, document)) for document in documents], first, second)
    parts: Parts = ([], [], [])
    for document, part in zip(documents, part_of, strict=True):
        parts[part].append(document)
    return parts


def _split_between_lines(documents: Sequence[Document], first: float, second: float) -> Parts:
    part_of = _part_of([len(line) for document in documents for line in document], first, second)
    parts: Parts = ([], [], [])
    begin = 0
    for document in documents:
        part_of_line = part_of[begin : begin + len(document)]
        begin += len(document)
        for part in range(3):
            lines = [line for line, its in zip(document, part_of_line, strict=True) if its == part]
            if lines:
                parts[part].append(lines)
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


def _part_of(sizes: Sequence[int], first: float, second: float) -> np.ndarray:
    """0, 1 or 2 for each piece of a text: the part that its middle lies in."""
    size = np.asarray(sizes, float)
    middle = (np.cumsum(size) - size / 2) / max(1.0, size.sum())
    return np.searchsorted([first, second], middle, side="right")


def _next_space(text: str, position: int) -> int:
    """The first white space at or after `position`; the end of the text if there is none."""
    match = re.compile(r"\s").search(text, position)
    return match.start() if match else len(text)
