"""Logs and texts from settings: the one module here that reads a recipe's `data`.

A text has no users. The held-out events of a log are ranked for each user, those of a text are predicted
token by token; everything between reading and evaluation takes both alike.
"""

import warnings
from dataclasses import replace
from pathlib import Path

from farzi.data.catalog import CATALOG, LOGS, TEXTS
from farzi.data.content import missing, parquet_files
from farzi.data.events import COLUMNS, FORM, ROWS, Events, read_events, read_names, refuse
from farzi.data.log import Log, make_log
from farzi.data.text.documents import documents_of, read_texts
from farzi.data.text.splits import sorted_by
from farzi.data.text.text import Text, make_text
from farzi.data.text.tokenizer import cut_at_ends, fit_tokenizer
from farzi.errors import FarziError, FarziWarning
from farzi.recipe.variants import DataVariant, LogData, TextData

Data = Log | Text
"""A log or a text, ready for training and evaluation."""


def is_text_source(source: str) -> bool:
    """Whether a source must be a text: a named text, or a folder without Parquet. A file may be either."""
    path = Path(source)
    return source not in LOGS and (source in TEXTS or (path.is_dir() and not parquet_files(path)))


def load_data(settings: DataVariant) -> Data:
    """Read the log or the text that a recipe's `data` names.

    Raises:
        FarziError: the data cannot be found or read, or too little of them remains.
    """
    if isinstance(settings, LogData):
        return load_dataset(settings)
    if isinstance(settings, TextData):
        return load_text(settings)
    return settings.build()()


def load_dataset(settings: LogData, events: Events | None = None) -> Log:
    """Read a named log or a file, then filter, sort and split it.

    If `ties` or `min_item_events` is None, a named log has its own rule for ties and rare items; a file keeps
    its order and its rare items. If `unseen` is None, unseen items are kept.

    Args:
        settings: of the log.
        events: its events if they were read already, as from a frame; `source` is then a name only.

    Raises:
        FarziError: the data cannot be found or read, or too little of them remains.
    """
    split = settings.split.build()
    entry = LOGS.get(settings.source) if events is None else None
    events = _events(settings) if events is None else events
    if settings.names is not None:
        events = replace(events, names=read_names(settings.names, settings))
    log = make_log(
        events,
        split,
        ties=settings.ties or ("file" if entry is None else entry.ties),
        ties_because=None if entry is None or settings.ties else entry.ties_because,
        unseen=settings.unseen or "keep",
        duplicates=settings.duplicates,
        min_user_events=settings.min_user_events,
        min_item_events=settings.min_item_events or (1 if entry is None else entry.min_item_events),
    )
    names = log.facts["names"]
    if settings.names is not None and 10 * names["items_with_a_name"] < names["items"]:
        warnings.warn(
            f"{settings.names}: only {names['items_with_a_name']:,} of the {names['items']:,} items of "
            f"{log.name} have a name there; compare its ids with those of the log",
            FarziWarning,
            stacklevel=2,
        )
    return replace(log, settings=settings)


def _events(settings: LogData) -> Events:
    if settings.source not in LOGS:
        return read_events(_path(settings), settings)
    known = f"applies to files: the columns of {settings.source} are known"
    refuse(settings, (*COLUMNS, *FORM, *ROWS), settings.source, known)
    return LOGS[settings.source].source.events(settings.file)


def load_text(settings: TextData, given: dict[str, list[str]] | None = None) -> Text:
    """Read a named text, a file or a folder, split it and cut it into tokens.

    `given` are texts by part that were read already; `source` is then a name only.

    If `tokens`, `vocabulary_size` or `lines` is None, a named text has its own; otherwise tokens are words
    and punctuation marks, all of them are in the vocabulary, and each line is a sentence.

    Raises:
        FarziError: the text cannot be found or read, a part of it is empty, or a setting does not apply to
            it.
    """
    name, lines, kind, size = settings.source, settings.lines, settings.tokens, settings.vocabulary_size
    if kind is None and settings.vocabulary_file is not None and _is_tokenizer(settings.vocabulary_file):
        kind = "subwords"
    if given is not None:
        for setting in ("file", "valid_file", "test_file", "encoding"):
            if getattr(settings, setting) is not None:
                raise FarziError(f"data.{setting} applies to files, and this text was given")
        texts, lines, kind = given, lines or "sentences", kind or "words"
    elif name not in TEXTS:
        path = _path(settings)
        texts = read_texts(path, settings.valid_file, settings.test_file, settings.encoding)
        name, lines, kind = str(path), lines or "sentences", kind or "words"
    else:
        entry = TEXTS[name]
        for setting in ("valid_file", "test_file", "encoding"):
            if getattr(settings, setting) is not None:
                raise FarziError(f"data.{setting} applies to files, and {name} is a named text")
        texts = entry.source.texts(settings.file)
        if kind is None and settings.vocabulary_file is None:
            size = size or entry.vocabulary_size
        lines, kind = lines or entry.lines, kind or entry.tokens
    train, valid, test = (
        cut_at_ends(
            [document for text in texts.get(part, []) for document in documents_of(text, lines)], kind
        )
        for part in ("train", "valid", "test")
    )
    rule = "by separate files"
    if "valid" not in texts and train:
        if settings.valid + settings.test >= 1:
            shares = f"{settings.valid:g}, {settings.test:g}"
            raise FarziError(f"data.valid and data.test must together be below 1, got {shares}")
        split = settings.split.build()
        if settings.split.type == "position" and (order := sorted_by(train)):
            warnings.warn(
                f"{name}: its documents seem to be sorted by {order}, so that the end, which is held out, "
                "differs from the rest; data.split.type=random holds out documents from everywhere",
                FarziWarning,
                stacklevel=2,
            )
        train, valid, test = split(train, settings.valid, settings.test, name)
        rule = split.in_words(settings.valid, settings.test)
    elif settings.split.type != "position":
        raise FarziError(f"data.split.type {settings.split.type}: {name} has separate files for its parts")
    for what, part in {"training": train, "validation": valid, "test": test}.items():
        if not part:
            raise FarziError(f"{name}: no {what} text: it is all white space")
    tokenizer = fit_tokenizer(kind, train, name, size, settings.vocabulary_file)
    return replace(make_text(name, (train, valid, test), rule, lines, tokenizer), settings=settings)


def _is_tokenizer(path: str) -> bool:
    """Whether a vocabulary is a tokenizer of Hugging Face, not a list of words."""
    return Path(path).is_dir() or Path(path).suffix == ".json"


def _path(settings: LogData | TextData) -> Path:
    path = Path(settings.file or settings.source)
    if not path.exists():
        raise missing(path, CATALOG)
    return path
