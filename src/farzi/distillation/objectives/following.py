"""What the objectives share that follow students along their trainings on the summary."""

from torch import Tensor

from farzi.distillation.students import Students
from farzi.distillation.together import Group


class Following:
    """Its state is that of the students; a concrete one adds `figure` and `draw` (`Objective`).

    Args:
        students: in training, and the real events.
    """

    def __init__(self, students: Students) -> None:
        self.students = students

    @property
    def group(self) -> Group:
        """See `Objective`."""
        return self.students.lines[0].group

    def tensors(self) -> dict[str, Tensor]:
        """See `Objective`."""
        return self.students.tensors()

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """See `Objective`."""
        self.students.restore(tensors)
