"""A model with fresh weights, from its settings in a recipe."""

from farzi.models.base import SequenceModel
from farzi.recipe.variants import StudentVariant


def build_model(student: StudentVariant, vocabulary: int, length: int) -> SequenceModel:
    """A model with fresh random weights from PyTorch's generator.

    Args:
        student: its architecture.
        vocabulary: V, padding included.
        length: the longest sequence that it takes.
    """
    return student.build(vocabulary, length)
