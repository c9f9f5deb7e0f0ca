"""Models of other libraries as sequence models. The libraries are not imported: the user passes a model."""

from farzi.models.adapters.huggingface import HuggingFace as HuggingFace
from farzi.models.adapters.recbole import EveryPosition as EveryPosition
from farzi.models.adapters.recbole import MaskedPrefixes as MaskedPrefixes
from farzi.models.adapters.recbole import Prefixes as Prefixes
from farzi.models.adapters.recbole import RecBole as RecBole

__all__ = ["EveryPosition", "HuggingFace", "MaskedPrefixes", "Prefixes", "RecBole"]
