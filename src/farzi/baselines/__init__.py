"""Other ways to choose a small set: real sequences picked from the log."""

from collections.abc import Mapping

from farzi.baselines.selection import Herding as Herding
from farzi.baselines.selection import KCentre as KCentre
from farzi.baselines.subsets import Head as Head
from farzi.baselines.subsets import Random as Random
from farzi.baselines.subsets import Subset as Subset
from farzi.baselines.subsets import bytes_per_event as bytes_per_event

SUBSETS: Mapping[str, Subset] = {
    "random": Random(),
    "head": Head(),
    "herding": Herding(),
    "k-centre": KCentre(),
}
"""By the names that tables and the command line use."""

__all__ = ["SUBSETS", "Head", "Herding", "KCentre", "Random", "Subset", "bytes_per_event"]
