"""Event logs and texts: reading, filtering, splitting, named data sets, and batches of indices."""

from farzi.data.catalog import CATALOG
from farzi.data.day import Day, read_day
from farzi.data.events import read_events, read_frame, read_names
from farzi.data.frames import is_frame, plain_frame
from farzi.data.loading import Data, is_text_source, load_data, load_dataset, load_text
from farzi.data.log import Log, make_log
from farzi.data.sequences import Holdout, Sequences, crops, epoch, pad_left
from farzi.data.text.text import Passages, Text
from farzi.data.vocabulary import Vocabulary

__all__ = [
    "CATALOG",
    "Data",
    "Day",
    "Holdout",
    "Log",
    "Passages",
    "Sequences",
    "Text",
    "Vocabulary",
    "crops",
    "epoch",
    "is_frame",
    "is_text_source",
    "load_data",
    "load_dataset",
    "load_text",
    "make_log",
    "pad_left",
    "plain_frame",
    "read_day",
    "read_events",
    "read_frame",
    "read_names",
]
