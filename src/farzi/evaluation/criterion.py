"""The one figure that training on real events goes by."""

from farzi.data import Holdout
from farzi.evaluation.ranking import Seen, evaluate
from farzi.students import Student

CRITERION = "nDCG@10"
"""The validation figure that decides early stopping and learning rates."""


def criterion(student: Student, validation: Holdout, seen: Seen = "keep") -> float:
    """`CRITERION` on the validation events, between 0 and 1.

    Args:
        student: as it is trained by now.
        validation: the events that it is stopped by.
        seen: the treatment of seen items in the ranking.
    """
    return evaluate(student, validation, seen).means()[CRITERION]
