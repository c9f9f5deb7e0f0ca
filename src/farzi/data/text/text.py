"""From documents to a text that is ready for training and evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from farzi.data.sequences import Sequences, offsets_of
from farzi.data.text.layout import Document
from farzi.data.text.parts import Parts
from farzi.data.text.passages import Passages
from farzi.data.text.tokens import Fitted, Tokenizer
from farzi.data.vocabulary import Vocabulary
from farzi.errors import FarziError

SHOWN = 10  # of the commonest tokens, in the facts


@dataclass(frozen=True, eq=False)
class Text:
    """A text ready for training and evaluation: what `Dataset` is for a log.

    Attributes:
        name: the named text, the file or the folder.
        vocabulary: all tokens; counts are those of the training text.
        train: the training documents, from which training windows are cut.
        pieces: the training sentences: the same tokens cut after full stops, question and exclamation marks
            and ends of lines. What small sets of real sequences are picked from.
        valid: held-out documents.
        test: held-out documents.
        facts: what `describe` gives: JSON values in a stable order.
        tokenizer: what a `tokenizer.json` holds, of a text in subwords.
    """

    name: str
    vocabulary: Vocabulary
    train: Sequences
    pieces: Sequences
    valid: Passages
    test: Passages
    facts: dict[str, Any]
    tokenizer: str | None = None


def make_text(name: str, source: str, parts: Parts, tokenizer: Tokenizer, said: dict[str, str]) -> Text:
    """Turn documents into tokens.

    Args:
        name: the text's.
        source: its name in messages.
        parts: documents for training, validation and test.
        tokenizer: learns its vocabulary from the first of them.
        said: more for the facts: the layout and the split in words.

    Raises:
        FarziError: a part has no text, or the tokenizer cannot be had from the training text.
    """
    for what, documents in zip(("training", "validation", "test"), parts, strict=True):
        if not documents:
            raise FarziError(f"{source}: no {what} text: there is nothing but white space")
    fitted = tokenizer.fit(parts[0], source)
    train, valid, test = (Sequences.from_lists([fitted.encode(one) for one in part]) for part in parts)
    counts = np.bincount(train.items, minlength=len(fitted.ids) + 1)
    vocabulary = Vocabulary.from_tokens(fitted.ids, fitted.names, counts[1:])
    ends = fitted.sentence_ends()
    facts = {
        "name": name,
        "lines": said["lines"],
        "tokens": str(tokenizer),
        "vocabulary": len(vocabulary) - 1,
        "commonest": ", ".join(_common(vocabulary, counts)),
        "split": {
            "rule": said["split"],
            "train": _part_facts(train, parts[0], fitted),
            "valid": _part_facts(valid, parts[1], fitted),
            "test": _part_facts(test, parts[2], fitted),
        },
    }
    return Text(
        name,
        vocabulary,
        train,
        _sentences(train, ends),
        valid=Passages(valid, fitted.start, _bytes(parts[1])),
        test=Passages(test, fitted.start, _bytes(parts[2])),
        facts=facts,
        tokenizer=fitted.json,
    )


def _sentences(documents: Sequences, ends: np.ndarray) -> Sequences:
    """The same tokens cut after each run of `ends`, and where documents end."""
    over = np.isin(documents.items, ends)
    over[:-1] &= ~over[1:]
    over[documents.offsets[1:][documents.lengths > 0] - 1] = True
    cuts = np.flatnonzero(over) + 1
    return Sequences(documents.items, offsets_of(np.diff(cuts, prepend=0)))


def _bytes(documents: Sequence[Document]) -> int:
    return sum(len(line.encode()) + 1 for document in documents for line in document)


def _common(vocabulary: Vocabulary, counts: np.ndarray) -> list[str]:
    total = max(1, int(counts.sum()))
    commonest = np.argsort(-counts[1:], kind="stable")[:SHOWN] + 1
    return [f"{vocabulary.label(int(i))} {100 * counts[i] / total:.1f} %" for i in commonest if counts[i]]


def _part_facts(part: Sequences, documents: Sequence[Document], fitted: Fitted) -> dict[str, Any]:
    size = len(part.items)
    unknown = None if fitted.unknown is None else round(int((part.items == fitted.unknown).sum()) / size, 4)
    return {
        "documents": len(part),
        "lines": sum(map(len, documents)),
        "tokens": size,
        "bytes": _bytes(documents),
        "unknown": unknown,
    }
