"""What a line of a text file is, as values: a sentence, a document, or a break without meaning.

A document is a list of lines; each line is followed by an end-of-line token, and no window of training events
reaches from one document into the next.
"""

from dataclasses import dataclass
from typing import Protocol

Document = list[str]


class Layout(Protocol):
    """Cuts a file's text into documents."""

    def __call__(self, text: str) -> list[Document]:
        """The documents in a text; blank ones are left out."""
        ...

    def __str__(self) -> str:
        """The rule in words."""
        ...


@dataclass(frozen=True)
class Sentences:
    """Each line is a sentence; the lines of a file follow on each other, as in Penn Treebank."""

    def __call__(self, text: str) -> list[Document]:
        """See `Layout`."""
        lines = _lines(text)
        return [lines] if lines else []

    def __str__(self) -> str:
        """The rule in words."""
        return "a line is a sentence, a file one running text"


@dataclass(frozen=True)
class Documents:
    """Each line is a document of its own."""

    def __call__(self, text: str) -> list[Document]:
        """See `Layout`."""
        return [[line] for line in _lines(text)]

    def __str__(self) -> str:
        """The rule in words."""
        return "a line is a document"


@dataclass(frozen=True)
class Running:
    """Line breaks are spaces like others; a file is one document."""

    def __call__(self, text: str) -> list[Document]:
        """See `Layout`."""
        text = text.strip()
        return [[text]] if text else []

    def __str__(self) -> str:
        """The rule in words."""
        return "line breaks mean nothing, a file is one running text"


def _lines(text: str) -> list[str]:
    return [line for line in (line.strip() for line in text.split("\n")) if line]
