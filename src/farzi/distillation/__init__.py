"""The outer loop: learning a summary through the training of students."""

from farzi.distillation.check import check_recipe as check_recipe
from farzi.distillation.distill import distill as distill
from farzi.distillation.loop import InnerLoop as InnerLoop
from farzi.distillation.objectives import Episode as Episode
from farzi.distillation.objectives import GradientMatching as GradientMatching
from farzi.distillation.objectives import MetaMatching as MetaMatching
from farzi.distillation.objectives import Objective as Objective
from farzi.distillation.objectives import TrajectoryMatching as TrajectoryMatching
from farzi.distillation.outer import Outer as Outer
from farzi.distillation.outer import StepReport as StepReport
from farzi.distillation.plan import RunPlan as RunPlan
from farzi.distillation.plan import plan_run as plan_run
from farzi.distillation.progress import Progress as Progress
from farzi.distillation.reference import Reference as Reference
from farzi.distillation.reference import References as References
from farzi.distillation.reference import Training as Training
from farzi.distillation.reference import train_reference as train_reference
from farzi.distillation.runs import Anew as Anew
from farzi.distillation.runs import Point as Point
from farzi.distillation.runs import Pool as Pool
from farzi.distillation.runs import Runs as Runs
from farzi.distillation.students import Line as Line
from farzi.distillation.students import Students as Students
from farzi.distillation.validation import Validation as Validation
from farzi.distillation.validation import validate as validate
from farzi.distillation.weights import Fresh as Fresh
from farzi.distillation.weights import Mixed as Mixed
from farzi.distillation.weights import Pretrained as Pretrained
from farzi.distillation.weights import Weights as Weights
from farzi.distillation.window import Window as Window

__all__ = [
    "Anew",
    "Episode",
    "Fresh",
    "GradientMatching",
    "InnerLoop",
    "Line",
    "MetaMatching",
    "Mixed",
    "Objective",
    "Outer",
    "Point",
    "Pool",
    "Pretrained",
    "Progress",
    "Reference",
    "References",
    "RunPlan",
    "Runs",
    "StepReport",
    "Students",
    "Training",
    "TrajectoryMatching",
    "Validation",
    "Weights",
    "Window",
    "check_recipe",
    "distill",
    "plan_run",
    "train_reference",
    "validate",
]
