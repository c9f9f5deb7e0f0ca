"""Differentiable training: exact gradients through the steps of an optimizer.

    theta = unroll(loss, theta0, data, Adam(0.01), batches)
    outer(theta).backward()  # fills .grad of data, of theta0 and of the optimizer's hyper-parameters

Knows tensors only and stands alone: it imports nothing else of Farzi.
"""

from farzi.unroll.curvature import Curvature as Curvature
from farzi.unroll.curvature import ForwardOverReverse as ForwardOverReverse
from farzi.unroll.curvature import ReverseOverReverse as ReverseOverReverse
from farzi.unroll.memory import Memory as Memory
from farzi.unroll.memory import Step as Step
from farzi.unroll.memory import Store as Store
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
from farzi.unroll.run import Trained as Trained
from farzi.unroll.run import train as train
from farzi.unroll.run import unroll as unroll
from farzi.unroll.run import unroll_with_state as unroll_with_state

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Curvature",
    "ForwardOverReverse",
    "Memory",
    "Momentum",
    "Optimizer",
    "RMSprop",
    "ReverseOverReverse",
    "State",
    "Step",
    "Store",
    "Tape",
    "Trained",
    "Window",
    "train",
    "unroll",
    "unroll_with_state",
]
