"""Causal sequence models that read item indices or a summary's soft inputs."""

from farzi.models.base import SequenceModel as SequenceModel
from farzi.models.base import TableModel as TableModel
from farzi.models.base import build_model as build_model
from farzi.models.fmlprec import FMLPRec as FMLPRec
from farzi.models.gru import GRU as GRU
from farzi.models.gru4rec import GRU4Rec as GRU4Rec
from farzi.models.lstm import LSTM as LSTM
from farzi.models.model import Model as Model
from farzi.models.sasrec import SASRec as SASRec
from farzi.models.transformer import TransformerLM as TransformerLM

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
