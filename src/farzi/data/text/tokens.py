"""How a text becomes tokens: a tokenizer is a value, and learns what it must from the training text alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from farzi.data.text.layout import Document

UNKNOWN, END = "<unk>", "<eos>"
"""A word outside the vocabulary, and the end of a line."""

SENTENCE_ENDS = frozenset(".!?。！？")


@dataclass(frozen=True)
class Fitted:
    """A tokenizer that knows its vocabulary. Indices count from 1: 0 is padding.

    Attributes:
        ids: what each token is called, unique, in the order of the indices.
        names: how it reads, where the id does not say it.
        start: index of the token that ends a line, and so stands before a text.
        encode: a document to indices, int64, (n,); lines end in `start`.
        unknown: index of the token for what is not in the vocabulary; None where everything is.
        json: the tokenizer as a `tokenizer.json`, where it is one of Hugging Face's.
    """

    ids: tuple[str, ...]
    names: tuple[str | None, ...]
    start: int
    encode: Callable[[Document], np.ndarray]
    unknown: int | None = None
    json: str | None = None

    def sentence_ends(self) -> np.ndarray:
        """Indices of the tokens that end a sentence: the ends of lines, full stops and the like."""
        reads = [name or id for id, name in zip(self.ids, self.names, strict=True)]
        ends = [index for index, read in enumerate(reads, 1) if read.strip() in SENTENCE_ENDS]
        return np.array(sorted({self.start, *ends}), np.int64)


class Tokenizer(Protocol):
    """Makes a `Fitted` from training text."""

    def fit(self, train: Sequence[Document], source: str) -> Fitted:
        """Learn the vocabulary; `source` is the text's name in messages.

        Raises:
            FarziError: the text does not give the vocabulary asked for, or a file of it is wrong.
        """
        ...

    def __str__(self) -> str:
        """What tokens are, in words."""
        ...
