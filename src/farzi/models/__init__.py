"""Students: causal sequence models that take event indices or soft events."""

from farzi.models.base import SequenceModel as SequenceModel
from farzi.models.fmlprec import FMLPRec as FMLPRec
from farzi.models.recurrent import GRU as GRU
from farzi.models.recurrent import LSTM as LSTM
from farzi.models.recurrent import GRU4Rec as GRU4Rec
from farzi.models.registry import build_model as build_model
from farzi.models.sasrec import SASRec as SASRec
from farzi.models.storage import StudentFile as StudentFile
from farzi.models.storage import checksum_of_ids as checksum_of_ids
from farzi.models.tables import TableModel as TableModel
from farzi.models.transformer import TransformerLM as TransformerLM

__all__ = [
    "GRU",
    "LSTM",
    "FMLPRec",
    "GRU4Rec",
    "SASRec",
    "SequenceModel",
    "StudentFile",
    "TableModel",
    "TransformerLM",
    "build_model",
    "checksum_of_ids",
]
