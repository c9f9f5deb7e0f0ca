"""Reading event logs and texts, filtering and splitting them, named data sets, and batches of ids."""

from farzi.data.batches import crops, pad_left
from farzi.data.catalog import CATALOG, LOGS, TEXTS, NamedData, NamedText
from farzi.data.dataset import Dataset, load_dataset, load_events
from farzi.data.describe import describe
from farzi.data.events import BadRow, Events
from farzi.data.loading import Data, is_text_source, load_data, load_text
from farzi.data.reading import read_events, read_names
from farzi.data.sequences import Holdout, Sequences
from farzi.data.splits import GlobalTime, LeaveOneOut, Split, UserRatio
from farzi.data.text import Passages, Text
from farzi.data.vocabulary import Vocabulary

__all__ = [
    "CATALOG",
    "LOGS",
    "TEXTS",
    "BadRow",
    "Data",
    "Dataset",
    "Events",
    "GlobalTime",
    "Holdout",
    "LeaveOneOut",
    "NamedData",
    "NamedText",
    "Passages",
    "Sequences",
    "Split",
    "Text",
    "UserRatio",
    "Vocabulary",
    "crops",
    "describe",
    "is_text_source",
    "load_data",
    "load_dataset",
    "load_events",
    "load_text",
    "pad_left",
    "read_events",
    "read_names",
]
