"""Bytes as tokens: 256 of them, whatever the language."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from farzi.data.text.layout import Document
from farzi.data.text.tokens import Fitted

LINE_BREAK = 10


@dataclass(frozen=True)
class Bytes:
    """The bytes of the text as UTF-8, a line break after each line; byte b has index b + 1."""

    def fit(self, train: Sequence[Document], source: str) -> Fitted:
        """See `Tokenizer`; nothing is learnt."""
        ids = tuple(f"{byte:02x}" for byte in range(256))
        names = tuple(chr(byte) if 32 < byte < 127 else _NAMES.get(byte) for byte in range(256))
        return Fitted(ids, names, LINE_BREAK + 1, _encode)

    def __str__(self) -> str:
        """What tokens are, in words."""
        return "bytes"


_NAMES = {9: "\\t", LINE_BREAK: "\\n", 13: "\\r", 32: "␣"}


def _encode(document: Document) -> np.ndarray:
    data = "".join(f"{line}\n" for line in document).encode()
    return np.frombuffer(data, np.uint8).astype(np.int64) + 1
