"""Subwords as tokens, by Hugging Face's `tokenizers` (Apache-2.0): learnt from the training text, or loaded.

The package comes with `pip install 'farzi[text]'`; everything else does without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from farzi.data.text.layout import Document
from farzi.data.text.tokens import END, Fitted
from farzi.errors import FarziError

SMALLEST = 257  # all bytes and <eos>
ENDS = (END, "<|endoftext|>", "<|end_of_text|>", "</s>", "[SEP]")
"""What the end of a text is called in tokenizers that others have made."""


@dataclass(frozen=True)
class Subwords:
    """Byte-level byte-pair encoding of a given size, or a `tokenizer.json`; `<eos>` after each line.

    Token i of the tokenizer has index i + 1.

    Attributes:
        size: of the vocabulary learnt, `<eos>` among it.
        file: a `tokenizer.json` instead. Its own end of text (one of `ENDS`) ends lines; `<eos>` is added
            where it has none.
    """

    size: int = 4000
    file: str | None = None

    def fit(self, train: Sequence[Document], source: str) -> Fitted:
        """See `Tokenizer`."""
        tokenizer = _loaded(self.file) if self.file is not None else self._learnt(train, source)
        end = next((found for name in ENDS if (found := tokenizer.token_to_id(name)) is not None), None)
        if end is None:
            tokenizer.add_special_tokens([END])
            end = tokenizer.token_to_id(END)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        size = tokenizer.get_vocab_size()
        ids = tuple(tokenizer.id_to_token(token) for token in range(size))
        if any(not id for id in ids):
            raise FarziError(f"{self.file}: the tokenizer's numbers have gaps, or a token has no name")

        def encode(document: Document) -> np.ndarray:
            tokens: list[int] = []
            for line in tokenizer.encode_batch(document, add_special_tokens=False):
                tokens.extend(line.ids)
                tokens.append(end)
            return np.array(tokens, np.int64) + 1

        names = tuple(_name(tokenizer, token) for token in range(size))
        return Fitted(ids, names, end + 1, encode, json=tokenizer.to_str(pretty=True))

    def __str__(self) -> str:
        """What tokens are, in words."""
        if self.file is not None:
            return f"subwords of {self.file}"
        return f"{self.size:,} subwords learnt from the training text (byte-level BPE)"

    def _learnt(self, train: Sequence[Document], source: str) -> Any:
        if self.size < SMALLEST:
            raise FarziError(
                f"a vocabulary of {self.size} subwords is too small for all bytes and {END}; "
                f"raise --vocabulary-size to {SMALLEST} at least"
            )
        _needed()
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.size,
            special_tokens=[END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator((line for document in train for line in document), trainer)
        if tokenizer.get_vocab_size() < self.size:
            raise FarziError(
                f"{source}: its training text gives {tokenizer.get_vocab_size():,} subwords only; "
                f"lower --vocabulary-size from {self.size:,}"
            )
        return tokenizer


def _loaded(path: str) -> Any:
    _needed()
    from tokenizers import Tokenizer

    if not Path(path).is_file():
        raise FarziError(f"{path}: no such file; it should be a tokenizer.json")
    try:
        return Tokenizer.from_file(path)
    except Exception as error:  # the package raises nothing narrower
        raise FarziError(f"{path}: not a tokenizer.json of Hugging Face tokenizers ({error})") from None


def _name(tokenizer: Any, token: int) -> str | None:
    """How a token reads; None where it is a part of a character, or nothing."""
    text = tokenizer.decode([token], skip_special_tokens=False)
    return text.replace("\n", "\\n") if text and "\ufffd" not in text else None


def _needed() -> None:
    try:
        import tokenizers  # noqa: F401
    except ImportError:
        raise FarziError("subwords need the package tokenizers: pip install 'farzi[text]'") from None
