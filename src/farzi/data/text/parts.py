"""Training, validation and test by position: a text ends in the test, and before that the validation."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from farzi.data.text.layout import Document
from farzi.errors import FarziError

Parts = tuple[list[Document], list[Document], list[Document]]
"""Documents for training, validation and test."""


@dataclass(frozen=True)
class ByPosition:
    """The last part `test` of all characters is the test, the part `valid` before it the validation.

    Documents stay whole where each part then has one; else lines do, each going where its middle lies; else a
    line is cut at white space.
    """

    valid: float = 0.1
    test: float = 0.1

    def __call__(self, documents: Sequence[Document], source: str) -> Parts:
        """The three parts of some documents.

        Raises:
            FarziError: the fractions leave nothing for training, or the text is too short for three parts;
                names `source`.
        """
        if self.valid + self.test >= 1:
            raise FarziError(
                "valid_fraction and test_fraction must together be below 1, "
                f"got {self.valid:g}, {self.test:g}"
            )
        for cut in (self._documents, self._lines, self._words):
            parts = cut(documents)
            if all(parts):
                return parts
        raise FarziError(
            f"{source}: too short for a split into training, validation and test "
            f"({self.valid:g} and {self.test:g} held out)"
        )

    def __str__(self) -> str:
        """The rule in words."""
        return (
            f"position: the last {self.test:.3g} of the text is the test, "
            f"the {self.valid:.3g} before it the validation"
        )

    def _documents(self, documents: Sequence[Document]) -> Parts:
        of = self._part([sum(map(len, document)) for document in documents])
        parts: Parts = ([], [], [])
        for document, part in zip(documents, of, strict=True):
            parts[part].append(document)
        return parts

    def _lines(self, documents: Sequence[Document]) -> Parts:
        of = self._part([len(line) for document in documents for line in document])
        parts: Parts = ([], [], [])
        begin = 0
        for document in documents:
            mine = of[begin : begin + len(document)]
            begin += len(document)
            for part in range(3):
                if (mine == part).any():
                    parts[part].append([line for line, at in zip(document, mine, strict=True) if at == part])
        return parts

    def _words(self, documents: Sequence[Document]) -> Parts:
        text = "\n".join(line for document in documents for line in document)
        first = _space(text, round(len(text) * (1 - self.valid - self.test)))
        second = _space(text, max(first + 1, round(len(text) * (1 - self.test))))
        train, valid, test = (
            [[piece]] if (piece := text[begin:end].strip()) else []
            for begin, end in ((0, first), (first, second), (second, len(text)))
        )
        return train, valid, test

    def _part(self, sizes: Sequence[int]) -> np.ndarray:
        """0, 1 or 2 for each piece of a text, by where its middle lies."""
        size = np.asarray(sizes, float)
        middle = (np.cumsum(size) - size / 2) / max(1.0, size.sum())
        return np.searchsorted([1 - self.valid - self.test, 1 - self.test], middle, side="right")


def _space(text: str, position: int) -> int:
    """The first white space from a position on; the end where there is none."""
    found = re.compile(r"\s").search(text, position)
    return found.start() if found else len(text)
