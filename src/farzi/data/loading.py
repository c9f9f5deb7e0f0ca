"""Logs and texts through one door: the settings decide which of the two a source is.

A text has no users. Where a log's held-out events are ranked user by user, a text's are predicted token by
token; everything between reading and evaluation takes both alike.
"""

from pathlib import Path

from farzi.data.catalog import LOGS, TEXTS
from farzi.data.dataset import Dataset, load_dataset
from farzi.data.text.bytes import Bytes
from farzi.data.text.files import read_texts
from farzi.data.text.layout import Document, Documents, Layout, Running, Sentences
from farzi.data.text.parts import ByPosition, Parts
from farzi.data.text.subwords import Subwords
from farzi.data.text.text import Text, make_text
from farzi.data.text.tokens import Tokenizer
from farzi.data.text.words import Words, marks, spaces
from farzi.errors import FarziError
from farzi.recipe.variants import DataVariant, LogData, TextData

Data = Dataset | Text
"""A log or a text, ready for training and evaluation."""

LAYOUTS: dict[str, Layout] = {
    "sentences": Sentences(),
    "documents": Documents(),
    "running": Running(),
}
"""By the names that a recipe uses."""


def is_text_source(source: str) -> bool:
    """Whether a source is a text for certain: a named text, or a folder. A file may be either."""
    return source not in LOGS and (source in TEXTS or Path(source).is_dir())


def load_data(settings: DataVariant) -> Data:
    """Read the log or the text that a recipe's `data` names.

    Raises:
        FarziError: the data cannot be had or read, or too little of them is left.
    """
    if isinstance(settings, LogData):
        return load_dataset(settings)
    if isinstance(settings, TextData):
        return load_text(settings)
    return settings.build()()


def load_text(settings: TextData) -> Text:
    """Read a named text, a file or a folder, cut it into parts and into tokens as `settings` say.

    Where `tokens`, `vocabulary_size` or `lines` are None, a named text brings its own; else tokens are words
    and marks, all of them are kept, and a line is a sentence.

    Raises:
        FarziError: the text cannot be had or read, a part of it is empty, or a setting does not fit it.
    """
    entry = TEXTS.get(settings.source)
    if entry is None:
        place = settings.file or settings.source
        texts = read_texts(place, settings.valid_file, settings.test_file, also=(*LOGS, *TEXTS))
        name, lines = texts.source, settings.lines or "sentences"
        kind, size = settings.tokens or "words", settings.vocabulary_size
    else:
        if settings.valid_file is not None or settings.test_file is not None:
            raise FarziError(
                f"data.valid_file and data.test_file are for files: the parts of {settings.source} are known"
            )
        texts = entry.origin.texts(settings.file)
        name, lines = entry.name, settings.lines or entry.lines
        own = settings.tokens is None and settings.vocabulary_file is None
        kind = settings.tokens or entry.tokens
        size = settings.vocabulary_size or (entry.vocabulary_size if own else None)

    tokenizer = tokenizer_of(kind, size, settings.vocabulary_file)
    layout = LAYOUTS[lines]
    documents = [_documents(layout, part) for part in (texts.train, texts.valid, texts.test)]
    if texts.valid:
        parts: Parts = (documents[0], documents[1], documents[2])
        rule = "given: files of their own"
    else:
        split = ByPosition(settings.valid, settings.test)
        parts, rule = split(documents[0], texts.source), str(split)
    return make_text(name, texts.source, parts, tokenizer, {"lines": str(layout), "split": rule})


def tokenizer_of(kind: str, size: int | None, file: str | None) -> Tokenizer:
    """The tokenizer that settings name.

    Args:
        kind: "words", "spaces", "bytes" or "subwords".
        size: of the vocabulary; None for all words, or 4,000 subwords.
        file: a list of words, or a tokenizer.json.

    Raises:
        FarziError: the vocabulary is given twice, or where there is none to choose.
    """
    if size is not None and file is not None:
        raise FarziError("data.vocabulary_size and data.vocabulary_file: only one of them can be given")
    match kind:
        case "bytes":
            if size is not None or file is not None:
                raise FarziError(
                    "data.vocabulary_size and data.vocabulary_file: there are always 256 bytes; leave them out"
                )
            return Bytes()
        case "subwords":
            return Subwords(file=file) if size is None else Subwords(size)
        case _:
            return Words(size, file, spaces if kind == "spaces" else marks)


def _documents(layout: Layout, texts: tuple[str, ...]) -> list[Document]:
    return [document for text in texts for document in layout(text)]
