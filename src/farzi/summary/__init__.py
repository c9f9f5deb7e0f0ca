"""The summary: what a user holds, its tensors, parametrizations and initializers."""

from farzi.summary.card import LANGUAGE as LANGUAGE
from farzi.summary.initializers import ClassInitializer as ClassInitializer
from farzi.summary.initializers import Ensemble as Ensemble
from farzi.summary.initializers import Initializer as Initializer
from farzi.summary.initializers import RandomInitializer as RandomInitializer
from farzi.summary.initializers import Size as Size
from farzi.summary.initializers import TeacherInitializer as TeacherInitializer
from farzi.summary.initializers import TransitionInitializer as TransitionInitializer
from farzi.summary.inspect import top_events as top_events
from farzi.summary.parametrizations import FullLogits as FullLogits
from farzi.summary.parametrizations import LowRank as LowRank
from farzi.summary.parametrizations import Parametrization as Parametrization
from farzi.summary.parametrizations import Tucker as Tucker
from farzi.summary.schedule import BatchSchedule as BatchSchedule
from farzi.summary.soft_inputs import SOFT_INPUTS as SOFT_INPUTS
from farzi.summary.soft_inputs import chosen_soft_inputs as chosen_soft_inputs
from farzi.summary.summary import Summary as Summary
from farzi.summary.summary import history_text as history_text
from farzi.summary.tensors import SummaryTensors as SummaryTensors
