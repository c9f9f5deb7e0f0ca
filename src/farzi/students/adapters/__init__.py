"""Other libraries' models as students. The libraries themselves are not imported: a model is handed over."""

from farzi.students.adapters.huggingface import HuggingFace as HuggingFace
from farzi.students.adapters.recbole import EveryPosition as EveryPosition
from farzi.students.adapters.recbole import MaskedPrefixes as MaskedPrefixes
from farzi.students.adapters.recbole import Prefixes as Prefixes
from farzi.students.adapters.recbole import RecBole as RecBole

__all__ = ["EveryPosition", "HuggingFace", "MaskedPrefixes", "Prefixes", "RecBole"]
