"""Reading event logs, ordering, filtering and splitting them, named data sets, and batches of ids."""

from farzi.data.batches import crops, pad_left
from farzi.data.catalog import CATALOG, NamedData
from farzi.data.dataset import Dataset, load_dataset, load_events, split_of
from farzi.data.describe import describe
from farzi.data.events import BadRow, Events
from farzi.data.reading import read_events, read_names
from farzi.data.sequences import Holdout, Sequences
from farzi.data.splits import GlobalTime, LeaveOneOut, Split, UserRatio
from farzi.data.vocabulary import Vocabulary

__all__ = [
    "CATALOG",
    "BadRow",
    "Dataset",
    "Events",
    "GlobalTime",
    "Holdout",
    "LeaveOneOut",
    "NamedData",
    "Sequences",
    "Split",
    "UserRatio",
    "Vocabulary",
    "crops",
    "describe",
    "load_dataset",
    "load_events",
    "pad_left",
    "read_events",
    "read_names",
    "split_of",
]
