"""The students that a recipe can name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from farzi.recipe import StudentSettings
from farzi.students.base import Student
from farzi.students.fmlprec import FMLPRec
from farzi.students.recurrent import GRU, LSTM, GRU4Rec
from farzi.students.sasrec import SASRec
from farzi.students.tables import TableStudent
from farzi.students.transformer import TransformerLM

Make = Callable[[StudentSettings, int, int], Student]
"""(settings, V, longest sequence) ↦ a student with fresh weights from PyTorch's generator."""


def _attentive(kind: type[SASRec] | type[TransformerLM]) -> Make:
    def make(settings: StudentSettings, vocabulary: int, length: int) -> Student:
        heads = settings.heads or 1
        return kind(vocabulary, length, settings.hidden, settings.layers, heads, tied=settings.tied)

    return make


def _layered(kind: type[FMLPRec] | type[GRU4Rec] | type[GRU] | type[LSTM]) -> Make:
    def make(settings: StudentSettings, vocabulary: int, length: int) -> TableStudent:
        return kind(vocabulary, length, settings.hidden, settings.layers, tied=settings.tied)

    return make


STUDENTS: Mapping[str, Make] = MappingProxyType(
    {
        "sasrec": _attentive(SASRec),
        "gru4rec": _layered(GRU4Rec),
        "fmlprec": _layered(FMLPRec),
        "transformer": _attentive(TransformerLM),
        "gru": _layered(GRU),
        "lstm": _layered(LSTM),
    }
)
"""By the names that a recipe uses."""


def build_student(settings: StudentSettings, vocabulary: int, length: int) -> Student:
    """A student with fresh random weights, by its name in a recipe.

    Args:
        settings: the architecture.
        vocabulary: V, padding included.
        length: the longest sequence that it takes.
    """
    return STUDENTS[settings.name](settings, vocabulary, length)
