"""What a summary is learnt for, as values."""

from farzi.distillation.objectives.gradients import Gradient as Gradient
from farzi.distillation.objectives.gradients import GradientMatching as GradientMatching
from farzi.distillation.objectives.meta import MetaMatching as MetaMatching
from farzi.distillation.objectives.objective import Episode as Episode
from farzi.distillation.objectives.objective import Objective as Objective
from farzi.distillation.objectives.trajectories import TrajectoryMatching as TrajectoryMatching

__all__ = ["Episode", "Gradient", "GradientMatching", "MetaMatching", "Objective", "TrajectoryMatching"]
