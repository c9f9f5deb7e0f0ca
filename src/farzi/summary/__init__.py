"""The summary: what a user holds, its tensors, parametrizations and initializers."""

from farzi.summary.batches import SOFT_INPUTS as SOFT_INPUTS
from farzi.summary.batches import BatchSchedule as BatchSchedule
from farzi.summary.batches import chosen_soft_inputs as chosen_soft_inputs
from farzi.summary.card import distillation_facts as distillation_facts
from farzi.summary.card import nearness_fact as nearness_fact
from farzi.summary.checked import checked_tensors as checked_tensors
from farzi.summary.folder import CHECKPOINT as CHECKPOINT
from farzi.summary.folder import PARTIAL as PARTIAL
from farzi.summary.folder import TENSORS as TENSORS
from farzi.summary.folder import check_folder as check_folder
from farzi.summary.folder import remove_cached as remove_cached
from farzi.summary.initializers.base import Ensemble as Ensemble
from farzi.summary.initializers.base import Initializer as Initializer
from farzi.summary.initializers.base import RandomInitializer as RandomInitializer
from farzi.summary.initializers.base import Size as Size
from farzi.summary.initializers.classes import ClassInitializer as ClassInitializer
from farzi.summary.initializers.teacher import TeacherInitializer as TeacherInitializer
from farzi.summary.initializers.transitions import TransitionInitializer as TransitionInitializer
from farzi.summary.parametrizations import FullLogits as FullLogits
from farzi.summary.parametrizations import LowRank as LowRank
from farzi.summary.parametrizations import Parametrization as Parametrization
from farzi.summary.parametrizations import Tucker as Tucker
from farzi.summary.summary import LANGUAGE as LANGUAGE
from farzi.summary.summary import Summary as Summary
from farzi.summary.summary import history_text as history_text
from farzi.summary.tensors import SummaryTensors as SummaryTensors
