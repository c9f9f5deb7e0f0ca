"""Differentiable training: exact gradients through the steps of an optimizer.

    theta = unroll(loss, theta0, data, Adam(0.01), batches)
    outer(theta).backward()  # fills .grad of data, of theta0 and of the optimizer's hyper-parameters

Knows tensors only and stands alone: it imports nothing else of Farzi.
"""

from farzi.unroll.calibration import Calibration as Calibration
from farzi.unroll.check import check as check
from farzi.unroll.check import compare_precision as compare_precision
from farzi.unroll.compiled import Compiled as Compiled
from farzi.unroll.compiled import ExecutionWarning as ExecutionWarning
from farzi.unroll.compilers import cuda_graphs as cuda_graphs
from farzi.unroll.compilers import inductor as inductor
from farzi.unroll.compilers import interpreter as interpreter
from farzi.unroll.curvature import Curvature as Curvature
from farzi.unroll.curvature import ForwardOverReverse as ForwardOverReverse
from farzi.unroll.curvature import ReverseOverReverse as ReverseOverReverse
from farzi.unroll.execution import Eager as Eager
from farzi.unroll.execution import Execution as Execution
from farzi.unroll.graph import Fusion as Fusion
from farzi.unroll.graph import add_fusion as add_fusion
from farzi.unroll.graph import add_rewrite as add_rewrite
from farzi.unroll.memory import Budget as Budget
from farzi.unroll.memory import Checkpoints as Checkpoints
from farzi.unroll.memory import Cost as Cost
from farzi.unroll.memory import Invert as Invert
from farzi.unroll.memory import Memory as Memory
from farzi.unroll.memory import OnHost as OnHost
from farzi.unroll.memory import Place as Place
from farzi.unroll.memory import Replay as Replay
from farzi.unroll.memory import SquareRoot as SquareRoot
from farzi.unroll.memory import Step as Step
from farzi.unroll.memory import Store as Store
from farzi.unroll.memory import StoreGradients as StoreGradients
from farzi.unroll.memory import Tape as Tape
from farzi.unroll.memory import Window as Window
from farzi.unroll.optimizers import SGD as SGD
from farzi.unroll.optimizers import Adagrad as Adagrad
from farzi.unroll.optimizers import Adam as Adam
from farzi.unroll.optimizers import AdamW as AdamW
from farzi.unroll.optimizers import Momentum as Momentum
from farzi.unroll.optimizers import Optimizer as Optimizer
from farzi.unroll.optimizers import RMSprop as RMSprop
from farzi.unroll.optimizers import State as State
from farzi.unroll.plan import Plan as Plan
from farzi.unroll.plan import PlanRow as PlanRow
from farzi.unroll.plan import plan as plan
from farzi.unroll.run import Trained as Trained
from farzi.unroll.run import train as train
from farzi.unroll.run import unroll as unroll
from farzi.unroll.run import unroll_with_state as unroll_with_state
from farzi.unroll.several import stack as stack
from farzi.unroll.several import stacked_loss as stacked_loss
from farzi.unroll.several import unstack as unstack
from farzi.unroll.verdict import Check as Check
from farzi.unroll.verdict import Difference as Difference
from farzi.unroll.verdict import Precision as Precision
from farzi.unroll.verdict import Remedy as Remedy

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Budget",
    "Calibration",
    "Check",
    "Checkpoints",
    "Compiled",
    "Cost",
    "Curvature",
    "Difference",
    "Eager",
    "Execution",
    "ExecutionWarning",
    "ForwardOverReverse",
    "Fusion",
    "Invert",
    "Memory",
    "Momentum",
    "OnHost",
    "Optimizer",
    "Place",
    "Plan",
    "PlanRow",
    "Precision",
    "RMSprop",
    "Remedy",
    "Replay",
    "ReverseOverReverse",
    "SquareRoot",
    "State",
    "Step",
    "Store",
    "StoreGradients",
    "Tape",
    "Trained",
    "Window",
    "add_fusion",
    "add_rewrite",
    "check",
    "compare_precision",
    "cuda_graphs",
    "inductor",
    "interpreter",
    "plan",
    "stack",
    "stacked_loss",
    "train",
    "unroll",
    "unroll_with_state",
    "unstack",
]
