"""What a summary is learnt for, as values."""

from farzi.distillation.objectives.meta import MetaMatching as MetaMatching
from farzi.distillation.objectives.objective import Episode as Episode
from farzi.distillation.objectives.objective import Objective as Objective

__all__ = ["Episode", "MetaMatching", "Objective"]
