"""Distillation in four stages: teach, initialise, refine, select."""

from farzi.distillation.check import check_recipe as check_recipe
from farzi.distillation.distill import distill as distill
from farzi.distillation.initialise import initialise as initialise
from farzi.distillation.inner import InnerRun as InnerRun
from farzi.distillation.inner import Theta as Theta
from farzi.distillation.inner import Weights as Weights
from farzi.distillation.plan import RunPlan as RunPlan
from farzi.distillation.plan import plan_run as plan_run
from farzi.distillation.refine import Episode as Episode
from farzi.distillation.refine import Objective as Objective
from farzi.distillation.refine import OuterLoop as OuterLoop
from farzi.distillation.refine import RealLoss as RealLoss
from farzi.distillation.select import Selection as Selection
from farzi.distillation.select import Validation as Validation
from farzi.distillation.select import validate as validate
from farzi.distillation.size import Target as Target
from farzi.distillation.size import sized as sized
from farzi.distillation.teach import Cache as Cache
from farzi.distillation.teach import FullData as FullData
from farzi.distillation.teach import full_trainings as full_trainings
from farzi.distillation.teach import teach as teach
from farzi.progress import PrintedProgress as PrintedProgress
from farzi.progress import Progress as Progress
from farzi.progress import StepReport as StepReport
