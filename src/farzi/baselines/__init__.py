"""Other ways to choose a small set: real sequences picked from the log."""

from farzi.baselines.subsets import Head as Head
from farzi.baselines.subsets import Random as Random
from farzi.baselines.subsets import Subset as Subset
from farzi.baselines.subsets import bytes_per_event as bytes_per_event

__all__ = ["Head", "Random", "Subset", "bytes_per_event"]
