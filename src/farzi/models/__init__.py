"""Causal sequence models that read item indices or a summary's soft inputs."""

from farzi.models.attention import SASRec, TransformerLM
from farzi.models.base import SequenceModel, TableModel, build_model
from farzi.models.fmlprec import FMLPRec
from farzi.models.model import Model
from farzi.models.recurrent import GRU, LSTM, GRU4Rec

__all__ = [
    "GRU",
    "LSTM",
    "FMLPRec",
    "GRU4Rec",
    "Model",
    "SASRec",
    "SequenceModel",
    "TableModel",
    "TransformerLM",
    "build_model",
]
