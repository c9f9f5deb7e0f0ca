"""Splits of a text whose parts are not separate files: by position, or whole documents at random."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from farzi.data.text.documents import Document, OpenLine, Parts
from farzi.errors import FarziError

SORTED = 0.9
"""Share of neighbours in one order from which documents count as sorted."""
FEWEST, DIFFERENT = 20, 8
"""Documents, and neighbours that differ, without which nothing is said."""


class TextSplit(Protocol):
    """A rule that splits a text."""

    def __call__(self, documents: Sequence[Document], valid: float, test: float, source: str) -> Parts:
        """Documents for training, validation and test.

        Args:
            documents: at least one.
            valid: share of all characters held out for validation, about.
            test: share held out for the test.
            source: the text's name in messages.

        Raises:
            FarziError: the text is too short for three parts.
        """
        ...

    def in_words(self, valid: float, test: float) -> str:
        """The rule in words."""
        ...


@dataclass(frozen=True)
class Position:
    """The last share `test` of all characters, and the share `valid` before it.

    Documents stay whole if each part then has one. Otherwise lines stay whole, each in the part that its
    middle lies in. Otherwise a line is cut at white space: its first piece is an `OpenLine`, and its last one
    begins with the white space, so that the parts together hold the tokens of the text.
    """

    def __call__(self, documents: Sequence[Document], valid: float, test: float, source: str) -> Parts:
        cuts = (1 - valid - test, 1 - test)
        parts = _split(enumerate(documents), *cuts)
        if not all(parts):
            lines = ((index, [line]) for index, document in enumerate(documents) for line in document)
            parts = _split(lines, *cuts)
        if not all(parts):
            parts = _split_between_words(documents, *cuts)
        return _checked(parts, valid, test, source)

    def in_words(self, valid: float, test: float) -> str:
        return (
            f"position: the last {test:.3g} of the text is the test, the {valid:.3g} before it the validation"
        )


@dataclass(frozen=True)
class Random:
    """Whole documents, drawn at random; for texts whose order means something, as documents sorted by class.

    Within a part they stay in the order of the text.

    Attributes:
        draw: another number draws other documents.
    """

    draw: int = 0

    def __call__(self, documents: Sequence[Document], valid: float, test: float, source: str) -> Parts:
        if len(documents) < 3:
            raise FarziError(
                f"{source}: has {len(documents)} documents, and a random split needs 3 or more; if each line "
                "is a document, set data.lines=documents"
            )
        order = np.random.default_rng(self.draw).permutation(len(documents))
        assigned = np.empty(len(documents), np.int64)
        assigned[order] = _assigned([documents[place] for place in order], 1 - valid - test, 1 - test)
        train, held, last = (
            [documents[place] for place in np.flatnonzero(assigned == part).tolist()] for part in range(3)
        )
        return _checked((train, held, last), valid, test, source)

    def in_words(self, valid: float, test: float) -> str:
        return f"random: {test:.3g} of the text in whole documents is the test, {valid:.3g} the validation"


def _checked(parts: Parts, valid: float, test: float, source: str) -> Parts:
    if not all(parts):
        raise FarziError(
            f"{source}: too short for a split into training, validation and test "
            f"({valid:g} and {test:g} held out)"
        )
    return parts


def _assigned(pieces: Sequence[Document], first: float, second: float) -> np.ndarray:
    """The part that the middle of each piece lies in, by characters: 0, 1 or 2."""
    size = np.array([sum(map(len, lines)) for lines in pieces], float)
    middle = (np.cumsum(size) - size / 2) / max(1.0, size.sum())
    return np.searchsorted([first, second], middle, side="right")


def _split(pieces: Iterable[tuple[int, Document]], first: float, second: float) -> Parts:
    """Whole pieces, each with the index of its document, in the part that their middle lies in."""
    pieces = list(pieces)
    assigned = _assigned([lines for _, lines in pieces], first, second)
    parts: Parts = ([], [], [])
    for part, documents in enumerate(parts):
        chosen = (piece for piece, its in zip(pieces, assigned, strict=True) if its == part)
        for _, group in itertools.groupby(chosen, key=lambda piece: piece[0]):
            documents.append([line for _, lines in group for line in lines])
    return parts


def _split_between_words(documents: Sequence[Document], first: float, second: float) -> Parts:
    text = "\0".join(line for document in documents for line in document)  # which no text has
    cut = _next_space(text, round(len(text) * first))
    end = _next_space(text, max(cut + 1, round(len(text) * second)))
    parts: Parts = ([], [], [])
    for part, (start, stop) in zip(parts, ((0, cut), (cut, end), (end, len(text))), strict=True):
        lines: Document = [line for line in text[start:stop].split("\0") if line]
        if lines and text[stop : stop + 1].isspace():
            lines[-1] = OpenLine(lines[-1])
        part += [lines] * bool(lines)
    return parts


def _next_space(text: str, position: int) -> int:
    """The first end of a word that white space or the next line follows, at or after `position`; else the end
    of the text.
    """
    match = re.compile(r"(?<=[^\s\0])[\s\0]").search(text, position)
    return match.start() if match else len(text)


def sorted_by(documents: Sequence[Document]) -> str | None:
    """What documents (or the lines of a single one) seem to be sorted by; None if by nothing.

    A split by position then holds out what the training text does not have: the longest, the end of the
    alphabet, or the last class, if classes are the first or last words.
    """
    pieces = documents if len(documents) > 1 else [[line] for line in documents[0]]
    if len(pieces) < FEWEST:
        return None
    if _in_order([sum(map(len, lines)) for lines in pieces]):
        return "length"
    first = [lines[0].split()[0].casefold() for lines in pieces]
    if all(word[0].isalpha() for word in first) and _in_order(first):  # numbers and dates may well rise
        return "the alphabet"
    for place, what in ((0, "first"), (-1, "last")):
        words = [lines[place].split()[place] for lines in pieces]
        counts = Counter(words)
        runs = sum(1 for _ in itertools.groupby(words))
        if (
            1 < len(counts) == runs
            and min(counts.values()) >= max(3, len(words) // 50)
            and len(words) >= FEWEST
        ):
            return f"their {what} word"
    return None


def _in_order(keys: Sequence[Any]) -> bool:
    pairs = [one < other for one, other in itertools.pairwise(keys) if one != other]
    return len(pairs) >= DIFFERENT and not 1 - SORTED < sum(pairs) / len(pairs) < SORTED
