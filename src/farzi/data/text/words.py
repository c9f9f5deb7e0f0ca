"""Words as tokens: a list that is given, or the commonest of the training text; all others are `<unk>`."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from farzi.data.text.files import read_text
from farzi.data.text.layout import Document
from farzi.data.text.tokens import END, UNKNOWN, Fitted
from farzi.errors import FarziError

SMALLEST = 3  # <unk>, <eos> and a word
_MARKS = re.compile(r"<unk>|\d+(?:[.,]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)*|[^\w\s]|_|\w")

Cut = Callable[[str], list[str]]
"""A line to words."""


def spaces(line: str) -> list[str]:
    """What white space parts, as it is; for texts that are cut into words already, as Penn Treebank."""
    return line.split()


def marks(line: str) -> list[str]:
    """Words in small letters, numbers, and punctuation marks one by one; `don't` is one word."""
    return _MARKS.findall(line.lower().replace("’", "'"))


@dataclass(frozen=True)
class Words:
    """Words, `<unk>` for those not kept, and `<eos>` after each line.

    Attributes:
        size: tokens kept, the commonest, `<unk>` and `<eos>` among them (padding is not); all words of the
            training text if None. Ties are broken by spelling.
        listed: a file with one word a line that says which are kept instead.
        cut: how a line becomes words.
    """

    size: int | None = None
    listed: str | None = None
    cut: Cut = marks

    def fit(self, train: Sequence[Document], source: str) -> Fitted:
        """See `Tokenizer`; the commonest word has index 1, those of a list keep its order."""
        if self.listed is not None:
            words = _listed(self.listed)
            words += [word for word in (UNKNOWN, END) if word not in words]
        else:
            words = self._commonest(train, source)
        index = {word: place for place, word in enumerate(words, 1)}
        unknown, end = index[UNKNOWN], index[END]

        def encode(document: Document) -> np.ndarray:
            tokens: list[int] = []
            for line in document:
                tokens.extend(index.get(word, unknown) for word in self.cut(line))
                tokens.append(end)
            return np.array(tokens, np.int64)

        return Fitted(tuple(words), (None,) * len(words), end, encode, unknown)

    def __str__(self) -> str:
        """What tokens are, in words."""
        how = "parted by white space" if self.cut is spaces else "and punctuation marks, in small letters"
        if self.listed is not None:
            return f"words {how}, those listed in {self.listed}"
        kept = "all of them" if self.size is None else f"the {self.size:,} commonest"
        return f"words {how}, {kept}"

    def _commonest(self, train: Iterable[Document], source: str) -> list[str]:
        counts: Counter[str] = Counter()
        for document in train:
            for line in document:
                counts.update(self.cut(line))
            counts[END] += len(document)
        counts.setdefault(UNKNOWN, 0)
        if self.size is None:
            kept = set(counts)
        elif self.size < SMALLEST:
            raise FarziError(
                f"a vocabulary of {self.size} has no place for a word beside {UNKNOWN} and {END}; "
                f"raise --vocabulary-size to {SMALLEST} at least"
            )
        elif self.size > len(counts):
            raise FarziError(
                f"{source}: its training text has {len(counts):,} different tokens only, "
                f"{UNKNOWN} and {END} among them; lower --vocabulary-size from {self.size:,}, or leave it out"
            )
        else:
            others = sorted(counts.keys() - {UNKNOWN, END}, key=lambda word: (-counts[word], word))
            kept = {UNKNOWN, END, *others[: self.size - 2]}
            counts[UNKNOWN] += sum(counts[word] for word in others[self.size - 2 :])
        return sorted(kept, key=lambda word: (-counts[word], word))


def _listed(path: str | Path) -> list[str]:
    words: dict[str, int] = {}
    for number, line in enumerate(read_text(path).split("\n"), 1):
        word = line.strip()
        if not word:
            continue
        if word in words:
            raise FarziError(f"{path}:{number}: {word!r} is listed twice, on line {words[word]} already")
        if len(word.split()) > 1:
            raise FarziError(f"{path}:{number}: more than one word; a list has one a line")
        words[word] = number
    return list(words)
