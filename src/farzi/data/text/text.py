"""A text ready for training and evaluation, made from its documents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from farzi.data.sequences import Sequences, offsets_of
from farzi.data.text.documents import LINES, Document, OpenLine, Parts
from farzi.data.text.tokenizer import FittedTokenizer
from farzi.data.vocabulary import Vocabulary
from farzi.recipe.variants import TextData

SHOWN = 10  # most frequent tokens in the facts


@dataclass(frozen=True, eq=False)
class Passages:
    """Held-out documents; every token is predicted from those before it.

    Attributes:
        texts: token indices, one sequence for each document.
        start: the token before a document's first one: the end of a line.
        bytes: length of the text in UTF-8 with one line break after each line but an `OpenLine`, to which
            bits per byte refer; None if some tokens are unknown, which hide text.
    """

    texts: Sequences
    start: int
    bytes: int | None

    def __len__(self) -> int:
        return len(self.texts.items)

    @property
    def parts(self) -> tuple[Sequences, ...]:
        return (self.texts,)


@dataclass(frozen=True, eq=False, repr=False)
class Text:
    """A text ready for training and evaluation, as `Log` is for a log.

    Attributes:
        name: the named text, the file or the folder.
        vocabulary: all tokens; counts are those of the training text.
        train: the training documents, from which training windows are cut.
        pieces: the training sentences: the same tokens cut after full stops, question and exclamation marks
            and ends of lines. Small sets of real sequences are chosen from these.
        valid: held-out documents.
        test: held-out documents.
        facts: JSON values in a stable order.
        tokenizer: the content of its `tokenizer.json`.
        settings: the `data` of a recipe that reads it; None if it was made otherwise.
    """

    name: str
    vocabulary: Vocabulary
    train: Sequences
    pieces: Sequences
    valid: Passages
    test: Passages
    facts: dict[str, Any]
    tokenizer: str
    settings: TextData | None = None

    def __repr__(self) -> str:
        """One line: name and size."""
        kinds, tokens = len(self.vocabulary) - 1, len(self.train.items)
        return f"Text({self.name}: {kinds:,} different tokens, {tokens:,} training tokens)"


def make_text(name: str, parts: Parts, split: str, lines: str, tokenizer: FittedTokenizer) -> Text:
    """Turn documents for training, validation and test into tokens.

    `split`, the rule of the split in words, and `lines`, a key of `LINES`, are for the facts.
    """
    train, valid, test = (Sequences.from_lists([tokenizer.encode(one) for one in part]) for part in parts)
    counts = np.bincount(train.items, minlength=len(tokenizer.ids) + 1)
    vocabulary = Vocabulary.from_tokens(tokenizer.ids, tokenizer.names, counts[1:])
    facts = {
        "name": name,
        "lines": LINES[lines],
        "tokens": tokenizer.kind,
        "vocabulary": len(vocabulary) - 1,
        "most_frequent": _most_frequent(vocabulary, counts),
        "split": {
            "rule": split,
            "train": _part_facts(train, parts[0], tokenizer),
            "valid": _part_facts(valid, parts[1], tokenizer),
            "test": _part_facts(test, parts[2], tokenizer),
        },
    }
    return Text(
        name,
        vocabulary,
        train,
        _sentences(train, tokenizer.sentence_ends()),
        valid=_passages(valid, parts[1], tokenizer),
        test=_passages(test, parts[2], tokenizer),
        facts=facts,
        tokenizer=tokenizer.tokenizer.to_str(pretty=True),
    )


def _passages(part: Sequences, documents: Sequence[Document], tokenizer: FittedTokenizer) -> Passages:
    hidden = tokenizer.unknown is not None and bool((part.items == tokenizer.unknown).any())
    return Passages(part, tokenizer.end, None if hidden else _bytes(documents))


def _sentences(documents: Sequences, ends: np.ndarray) -> Sequences:
    """The same tokens cut after each run of `ends`, and at the ends of documents."""
    last = np.isin(documents.items, ends)
    last[:-1] &= ~last[1:]
    last[documents.offsets[1:][documents.lengths > 0] - 1] = True
    cuts = np.flatnonzero(last) + 1
    return Sequences(documents.items, offsets_of(np.diff(cuts, prepend=0)))


def _bytes(documents: Sequence[Document]) -> int:
    return sum(
        len(line.encode()) + (not isinstance(line, OpenLine)) for document in documents for line in document
    )


def _most_frequent(vocabulary: Vocabulary, counts: np.ndarray) -> str:
    total = max(1, int(counts.sum()))
    indices = np.argsort(-counts[1:], kind="stable")[:SHOWN] + 1
    return ", ".join(f"{vocabulary.label(i)} {100 * counts[i] / total:.1f} %" for i in indices if counts[i])


def _part_facts(part: Sequences, documents: Sequence[Document], tokenizer: FittedTokenizer) -> dict[str, Any]:
    size, unknown = len(part.items), tokenizer.unknown
    return {
        "documents": len(part),
        "lines": sum(map(len, documents)),
        "tokens": size,
        "bytes": _bytes(documents),
        "unknown": None if unknown is None else round(int((part.items == unknown).sum()) / size, 4),
    }
