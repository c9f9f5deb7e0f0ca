"""Tokenizers: every text is cut into tokens by a tokenizer of Hugging Face's `tokenizers` (Apache-2.0).

It is stored with a summary as `tokenizer.json`. Token i of the tokenizer has index i + 1 in the vocabulary;
index 0 is padding. Each line of a text is followed by the end token. The kinds:

- words: words, numbers and punctuation marks in lower case; `don't` and `3,000.50` are one token each, and
  combining marks belong to the letter before them.
- spaces: what white space separates; for texts that are already tokenized, as Penn Treebank.
- bytes: the 256 bytes of UTF-8; byte b has index b + 1, and the end token is the line break.
- subwords: byte-level byte-pair encoding learnt from the training text, or any `tokenizer.json`.

Words and spaces compose letters and marks first (Unicode NFC), so that two spellings of one word are one
token. Words outside the vocabulary are `<unk>`, and so is `<unk>` in the text. A written `<eos>` ends the
line (`cut_at_ends`). In bytes and subwords both are text like any other.
"""

import json
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from farzi.data.text.documents import Document, OpenLine, read_text
from farzi.errors import FarziError, FarziWarning

UNKNOWN, END = "<unk>", "<eos>"
ENDS = (END, "<|endoftext|>", "<|end_of_text|>", "</s>", "[SEP]")
"""Names of the end-of-text token in other people's tokenizers."""
TOKENIZER = "tokenizer.json"
SENTENCE_ENDS = frozenset(".!?。！？")
SMALLEST_WORDS = 3  # <unk>, <eos> and a word
SMALLEST_SUBWORDS = 257  # all bytes and <eos>
SUBWORDS = 4000  # learnt if no size is given
BATCH = 4096  # lines encoded at a time

MARKS = (
    r"[\p{M}\u200c\u200d]*"  # with the joiners, which decide the form of a letter in Indic and Arabic scripts
)
LETTER = rf"(?:[\p{{L}}\p{{Nl}}\p{{No}}]{MARKS})"
DIGIT = rf"(?:\p{{Nd}}{MARKS})"
WORD = (
    rf"<unk>|{DIGIT}+(?:[.,]{DIGIT}+)*|{LETTER}+(?:'{LETTER}+)*|[^\p{{L}}\p{{N}}_\s\x1c-\x1f]{MARKS}|_{MARKS}"
)
"""A token of kind "words": a number, a word, or one mark; each with the combining marks that follow."""
FINAL_SIGMA = r"(?<=\p{L})Σ(?!\p{L})"
"""The one letter whose lower case depends on its place in the word."""

LINE_BREAK = ord("\n")
BYTE_NAMES = {ord("\t"): "\\t", LINE_BREAK: "\\n", ord("\r"): "\\r", ord(" "): "␣"}


@dataclass(frozen=True, eq=False)
class FittedTokenizer:
    """A tokenizer with its vocabulary.

    Attributes:
        tokenizer: of the package `tokenizers`; token i has index i + 1.
        ids: the name of each token, unique, in the order of the indices from 1 on.
        names: how each token reads where its id does not show it, else None.
        kind: what the tokens are, in words.
        end: index of the token after each line.
        unknown: index of the token for what is not in the vocabulary; None if there is none.
        file: the `tokenizer.json` of someone else that it is from, else None.
    """

    tokenizer: Tokenizer
    ids: tuple[str, ...]
    names: tuple[str | None, ...]
    kind: str
    end: int
    unknown: int | None = None
    file: str | None = None

    def encode(self, document: Document) -> np.ndarray:
        """A document as indices, int64, (n,); each line but an `OpenLine` is followed by `end`.

        Raises:
            FarziError: a tokenizer of someone else cannot encode it, or leaves letters out without a token.
        """
        pieces: list[np.ndarray] = [np.empty(0, np.int64)]
        for begin in range(0, len(document), BATCH):
            batch = document[begin : begin + BATCH]
            for line, encoded in zip(batch, self._encoded(batch), strict=True):
                end = [self.end - 1] * (not isinstance(line, OpenLine))
                pieces.append(np.array([*encoded.ids, *end], np.int64) + 1)
        return np.concatenate(pieces)

    def _encoded(self, batch: list[str]) -> list[Any]:
        if self.file is None:
            return self.tokenizer.encode_batch_fast(batch, add_special_tokens=False)
        try:
            lines = self.tokenizer.encode_batch(batch, add_special_tokens=False)
        except Exception as error:  # the package raises nothing narrower
            raise FarziError(f"{self.file}: this tokenizer cannot encode the text ({_line(error)})") from None
        for line, tokens in zip(batch, lines, strict=True):
            if lost := _left_out(line, tokens.offsets):
                raise FarziError(
                    f"{self.file}: this tokenizer leaves {lost!r} out without any token (in {line!r:.60}); "
                    "give it a token for what it does not know"
                )
        return lines

    def sentence_ends(self) -> np.ndarray:
        """Indices of the tokens that end a sentence: `end`, full stops, question and exclamation marks."""
        read = [name or id for id, name in zip(self.ids, self.names, strict=True)]
        marks = [index for index, text in enumerate(read, 1) if text.strip() in SENTENCE_ENDS]
        return np.array(sorted({self.end, *marks}), np.int64)


def fit_tokenizer(
    kind: str, train: Sequence[Document], source: str, size: int | None = None, file: str | None = None
) -> FittedTokenizer:
    """Build a tokenizer; whatever is learnt is learnt from the training text alone.

    Args:
        kind: "words", "spaces", "bytes" or "subwords".
        train: the training documents.
        source: name of the text in messages.
        size: tokens in the vocabulary, `<unk>` and `<eos>` included; None for all words or 4,000 subwords.
            The most frequent words are in it, ties in the order of spelling.
        file: in place of `size`, a list of words (one per line, in the order of their indices), or for
            subwords a `tokenizer.json`, or the folder of a Hugging Face model, which has one.

    Raises:
        FarziError: the training text does not give such a vocabulary, `file` is wrong, or both are given.
    """
    names = "data.vocabulary_size and data.vocabulary_file"
    if size is not None and file is not None:
        raise FarziError(f"{names}: give only one of them")
    if kind == "bytes":
        if size is not None or file is not None:
            raise FarziError(f"{names} do not apply: there are always 256 bytes")
        return _bytes()
    if kind == "subwords":
        return _read_subwords(file) if file is not None else _learn_subwords(train, source, size or SUBWORDS)
    return _words(kind, train, source, size, file)


def _words(
    kind: str, train: Sequence[Document], source: str, size: int | None, file: str | None
) -> FittedTokenizer:
    tokenizer = Tokenizer(models.WordLevel({UNKNOWN: 0}, unk_token=UNKNOWN))
    if kind == "spaces":
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    else:
        final_sigma = normalizers.Replace(Regex(FINAL_SIGMA), "ς")
        apostrophe = normalizers.Replace("’", "'")
        steps = [normalizers.NFC(), final_sigma, normalizers.Lowercase(), normalizers.NFC(), apostrophe]
        tokenizer.normalizer = normalizers.Sequence(steps)
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), "removed", invert=True)
    if file is not None:
        words = _listed_words(file, tokenizer)
        words += [word for word in (UNKNOWN, END) if word not in words]
    else:
        words = _frequent_words(_count_words(tokenizer, train), source, size)
    index = {word: token for token, word in enumerate(words)}
    tokenizer.model = models.WordLevel(index, unk_token=UNKNOWN)
    what = "words separated by spaces" if kind == "spaces" else "words and punctuation marks in lower case"
    which = "all of them" if size is None else f"the {size:,} most frequent"
    what += f", {which if file is None else f'those listed in {file}'}"
    names = (None,) * len(words)
    return FittedTokenizer(tokenizer, tuple(words), names, what, index[END] + 1, index[UNKNOWN] + 1)


def _count_words(tokenizer: Tokenizer, train: Sequence[Document]) -> Counter[str]:
    """Each word of the training text with its count, `<eos>` once per line that ends."""
    counts: Counter[str] = Counter()
    for line in _lines(train):
        counts.update(_words_of(tokenizer, line))
        counts[END] += not isinstance(line, OpenLine)
    return counts


def _words_of(tokenizer: Tokenizer, line: str) -> list[str]:
    normal = tokenizer.normalizer.normalize_str(line)
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]


def _frequent_words(counts: dict[str, int], source: str, size: int | None) -> list[str]:
    """The words of the vocabulary, by falling count, ties by spelling; `<unk>` counts all others."""
    counts = {UNKNOWN: 0, **counts}
    if size is not None:
        if size < SMALLEST_WORDS:
            raise FarziError(
                f"a vocabulary of {size} has no place for a word beside {UNKNOWN} and {END}; "
                f"raise data.vocabulary_size to at least {SMALLEST_WORDS}"
            )
        if size > len(counts):
            raise FarziError(
                f"{source}: its training text has only {len(counts):,} different tokens, "
                f"{UNKNOWN} and {END} included; lower data.vocabulary_size from {size:,}, or leave it out"
            )
        others = sorted(counts.keys() - {UNKNOWN, END}, key=lambda word: (-counts[word], word))
        for word in others[size - 2 :]:
            counts[UNKNOWN] += counts.pop(word)
    return sorted(counts, key=lambda word: (-counts[word], word))


def _listed_words(path: str | Path, tokenizer: Tokenizer) -> list[str]:
    """The words of a list in its order, each in the form in which it occurs in texts, as in lower case."""
    line_of: dict[str, int] = {}
    words: dict[str, None] = {}
    cut: list[str] = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        word = line.strip()
        if not word:
            continue
        if word in line_of:
            raise FarziError(f"{path}:{number}: {word!r} is listed twice, first on line {line_of[word]}")
        if len(word.split()) > 1:
            raise FarziError(f"{path}:{number}: more than one word; a list has one word per line")
        line_of[word] = number
        tokens = _words_of(tokenizer, word)
        form = word if word == END else tokens[0] if len(tokens) == 1 else ""
        if form:
            words[form] = None  # "Rome" and "rome" may be one word
        else:
            cut.append(f"{word!r} (line {number})")
    if not words:
        raise FarziError(f"{path}: no listed word can occur in a text that is cut by data.tokens")
    if cut:
        warnings.warn(
            f"{path}: {len(cut):,} listed words cannot occur, because data.tokens cuts them into several "
            f"tokens, and are left out: {', '.join(cut[:3])}{', ...' if len(cut) > 3 else ''}",
            FarziWarning,
            stacklevel=2,
        )
    return list(words)


def _bytes() -> FittedTokenizer:
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]  # ByteLevel writes these as themselves,
    others = [byte for byte in range(256) if byte not in printable]  # these as the letters from 256 on
    letters = {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}
    tokenizer = Tokenizer(models.BPE({letter: byte for byte, letter in letters.items()}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    ids = tuple(f"{byte:02x}" for byte in range(256))
    names = tuple(chr(byte) if 32 < byte < 127 else BYTE_NAMES.get(byte) for byte in range(256))
    return FittedTokenizer(tokenizer, ids, names, "bytes", LINE_BREAK + 1)


def _learn_subwords(train: Sequence[Document], source: str, size: int) -> FittedTokenizer:
    if size < SMALLEST_SUBWORDS:
        raise FarziError(
            f"a vocabulary of {size} subwords is too small for all bytes and {END}; "
            f"raise data.vocabulary_size to at least {SMALLEST_SUBWORDS}"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(_lines(train), trainer)
    if tokenizer.get_vocab_size() < size:
        raise FarziError(
            f"{source}: its training text gives only {tokenizer.get_vocab_size():,} subwords; "
            f"lower data.vocabulary_size from {size:,}"
        )
    return _subwords(tokenizer, source, f"{size:,} subwords learnt from the training text (byte-level BPE)")


def _read_subwords(path: str) -> FittedTokenizer:
    if Path(path).is_dir():  # of a model, as on the Hugging Face hub
        path = str(Path(path) / TOKENIZER)
    if not Path(path).is_file():
        raise FarziError(f"{path}: no such file; a tokenizer.json is needed")
    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:  # the package raises nothing narrower
        raise FarziError(
            f"{path}: not a tokenizer.json of Hugging Face tokenizers ({_line(error)})"
        ) from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return _subwords(tokenizer, path, f"subwords of {path}", path)


def _subwords(tokenizer: Any, source: str, kind: str, file: str | None = None) -> FittedTokenizer:
    """A tokenizer with the end token it has, or else with `<eos>` added; neither is read from the text."""
    end = next((token for name in ENDS if (token := tokenizer.token_to_id(name)) is not None), None)
    if end is None:
        tokenizer.add_special_tokens([END])
        end = tokenizer.token_to_id(END)
    tokenizer.encode_special_tokens = True  # as text, where they are written
    tokens = range(tokenizer.get_vocab_size())
    ids = tuple(tokenizer.id_to_token(token) for token in tokens)
    if not all(ids):
        raise FarziError(f"{source}: the tokenizer's token numbers have gaps, or a token has no name")
    texts = (tokenizer.decode([token], skip_special_tokens=False) for token in tokens)
    # a token that is part of a character, or empty, has no name
    names = tuple(text.replace("\n", "\\n") if text and "\ufffd" not in text else None for text in texts)
    unknown = _unknown(tokenizer)
    return FittedTokenizer(
        tokenizer, ids, names, kind, end + 1, None if unknown is None else unknown + 1, file
    )


def _unknown(tokenizer: Any) -> int | None:
    """The token for what a tokenizer does not know, by the settings of its model; None if it has none."""
    model = json.loads(tokenizer.to_str())["model"]
    return model["unk_id"] if "unk_id" in model else tokenizer.token_to_id(model.get("unk_token") or "")


def _left_out(line: str, offsets: list[tuple[int, int]]) -> str | None:
    """The first letter, number, punctuation mark or symbol of a line that is in no token."""
    end = 0
    for start, stop in (*offsets, (len(line), len(line))):
        lost = (one for one in line[end:start] if unicodedata.category(one)[0] in "LNPS")
        if (first := next(lost, None)) is not None:
            return first
        end = max(end, stop)
    return None


def cut_at_ends(documents: Sequence[Document], kind: str) -> list[Document]:
    """Documents whose lines end at each written `<eos>`, if tokens are words; those of other kinds as given.

    The end token follows each line anyway. A second one would be certain, and lower the perplexity.
    """
    pattern = {"words": re.compile(END, re.IGNORECASE), "spaces": re.compile(rf"(?<!\S){END}(?!\S)")}.get(
        kind
    )
    if pattern is None:
        return list(documents)
    cut = (
        [one for line in lines for piece in pattern.split(line) if (one := piece.strip())]
        for lines in documents
    )
    return [lines for lines in cut if lines]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _lines(documents: Sequence[Document]) -> Iterator[str]:
    return (line for document in documents for line in document)
