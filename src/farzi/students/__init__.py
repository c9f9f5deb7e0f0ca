"""Students: causal sequence models that take event indices or soft events."""

from farzi.students.base import Student as Student
from farzi.students.sasrec import SASRec as SASRec

__all__ = ["SASRec", "Student"]
