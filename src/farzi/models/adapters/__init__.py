"""Models of other libraries as sequence models. The libraries are not imported: the user passes a model."""

from farzi.models.adapters.huggingface import HuggingFace
from farzi.models.adapters.recbole import EveryPosition, MaskedPrefixes, Prefixes, RecBole

__all__ = ["EveryPosition", "HuggingFace", "MaskedPrefixes", "Prefixes", "RecBole"]
