"""Logs and texts from settings: the one module here that reads a recipe's `data`.

A text has no users. The held-out events of a log are ranked for each user, those of a text are predicted
token by token; everything between reading and evaluation takes both alike.
"""

from dataclasses import replace
from pathlib import Path

from farzi.data.catalog import CATALOG, LOGS, TEXTS
from farzi.data.events import Events, read_events, read_names
from farzi.data.log import Log, make_log
from farzi.data.text.documents import Parts, documents_of, split_documents, split_rule
from farzi.data.text.files import read_texts
from farzi.data.text.text import Text, make_text
from farzi.errors import FarziError
from farzi.recipe.variants import DataVariant, LogData, TextData

Data = Log | Text
"""A log or a text, ready for training and evaluation."""


def is_text_source(source: str) -> bool:
    """Whether a source must be a text: a named text, or a folder. A file may be either."""
    return source not in LOGS and (source in TEXTS or Path(source).is_dir())


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

    If `ties`, `unseen` or `min_item_events` is None, a named log has its own rule for ties and rare items and
    keeps unseen items; a file keeps its order and its rare items, and unseen items are an error.

    Args:
        settings: of the log.
        events: its events if they were read already, as from a frame; `source` is then a name only.

    Raises:
        FarziError: the data cannot be found or read, or too little of them remains.
    """
    split = settings.split.build()
    entry = LOGS.get(settings.source) if events is None else None
    if events is None:
        events = load_events(settings)
    elif settings.names is not None:
        events = replace(events, names=read_names(settings.names))
    log = make_log(
        events,
        split,
        ties=settings.ties or ("file" if entry is None else entry.ties),
        ties_because=None if entry is None or settings.ties else entry.ties_because,
        unseen=settings.unseen or ("error" if entry is None else "keep"),
        min_user_events=settings.min_user_events,
        min_item_events=settings.min_item_events or (1 if entry is None else entry.min_item_events),
    )
    return replace(log, settings=settings)


def load_events(settings: LogData) -> Events:
    """The events of a named log or a file before filters, with names from a separate file if one is given.

    Raises:
        FarziError: the data cannot be found or read, or a setting does not apply to them.
    """
    entry = LOGS.get(settings.source)
    columns = {"user": settings.user, "item": settings.item, "time": settings.time}
    if entry is None:
        place = settings.file or settings.source
        events = read_events(place, **columns, skip_bad=settings.skip_bad, alternatives=CATALOG)
    else:
        for role, column in columns.items():
            if column is not None:
                raise FarziError(f"data.{role} applies to files: the columns of {settings.source} are known")
        events = entry.events(settings.file)
    return events if settings.names is None else replace(events, names=read_names(settings.names))


def load_text(settings: TextData) -> Text:
    """Read a named text, a file or a folder, split it and cut it into tokens.

    If `tokens`, `vocabulary_size` or `lines` is None, a named text has its own; otherwise tokens are words
    and punctuation marks, all of them are in the vocabulary, and each line is a sentence.

    Raises:
        FarziError: the text cannot be found or read, a part of it is empty, or a setting does not apply to
            it.
    """
    entry = TEXTS.get(settings.source)
    if entry is None:
        place = settings.file or settings.source
        texts = read_texts(place, settings.valid_file, settings.test_file, alternatives=CATALOG)
        name, lines = texts.source, settings.lines or "sentences"
        kind, size = settings.tokens or "words", settings.vocabulary_size
    else:
        if settings.valid_file is not None or settings.test_file is not None:
            raise FarziError(
                f"data.valid_file and data.test_file apply to files: the parts of {settings.source} are known"
            )
        texts = entry.source.texts(settings.file)
        name, lines = entry.name, settings.lines or entry.lines
        default = settings.tokens is None and settings.vocabulary_file is None
        kind = settings.tokens or entry.tokens
        size = settings.vocabulary_size or (entry.vocabulary_size if default else None)

    train, valid, test = (
        [document for text in part for document in documents_of(text, lines)]
        for part in (texts.train, texts.valid, texts.test)
    )
    parts: Parts = (train, valid, test)
    rule = "by separate files"
    if not texts.valid:
        parts = split_documents(train, settings.valid, settings.test, texts.source)
        rule = split_rule(settings.valid, settings.test)
    text = make_text(name, texts.source, parts, rule, lines, kind, size, settings.vocabulary_file)
    return replace(text, settings=settings)
