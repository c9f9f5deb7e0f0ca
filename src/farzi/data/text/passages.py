"""Held-out text."""

from dataclasses import dataclass

from farzi.data.sequences import Sequences


@dataclass(frozen=True, eq=False)
class Passages:
    """Held-out documents, every token of which is to be predicted from those before it.

    Attributes:
        texts: token indices, one sequence a document.
        start: the token that stands before a document's first one: the end of a line, so that the first token
            is predicted too, as the first of a line.
        bytes: of the text as UTF-8 with one line break after each line; what bits per byte are counted by.
    """

    texts: Sequences
    start: int
    bytes: int

    def __len__(self) -> int:
        """The number of tokens."""
        return len(self.texts.items)

    @property
    def parts(self) -> tuple[Sequences, ...]:
        """All sequences in it."""
        return (self.texts,)
