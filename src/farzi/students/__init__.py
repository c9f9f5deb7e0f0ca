"""Students: causal sequence models that take event indices or soft events."""

from farzi.students.base import Student as Student
from farzi.students.fmlprec import FMLPRec as FMLPRec
from farzi.students.recurrent import GRU as GRU
from farzi.students.recurrent import LSTM as LSTM
from farzi.students.recurrent import GRU4Rec as GRU4Rec
from farzi.students.registry import STUDENTS as STUDENTS
from farzi.students.registry import build_student as build_student
from farzi.students.sasrec import SASRec as SASRec
from farzi.students.storage import StudentFile as StudentFile
from farzi.students.storage import checksum_of_ids as checksum_of_ids
from farzi.students.tables import TableStudent as TableStudent
from farzi.students.transformer import TransformerLM as TransformerLM

__all__ = [
    "GRU",
    "LSTM",
    "STUDENTS",
    "FMLPRec",
    "GRU4Rec",
    "SASRec",
    "Student",
    "StudentFile",
    "TableStudent",
    "TransformerLM",
    "build_student",
    "checksum_of_ids",
]
