"""Students: causal sequence models that take event indices or soft events."""

from farzi.students.base import Student as Student
from farzi.students.sasrec import SASRec as SASRec
from farzi.students.storage import StudentFile as StudentFile
from farzi.students.storage import checksum_of_ids as checksum_of_ids

__all__ = ["SASRec", "Student", "StudentFile", "checksum_of_ids"]
