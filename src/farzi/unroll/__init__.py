"""Differentiable training: exact gradients through the steps of an optimizer. Knows tensors only."""

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
    "SGD", "Adagrad", "Adam", "AdamW", "Memory", "Momentum", "Optimizer", "RMSprop", "State", "Step", "Store", "Tape",
    "Trained", "Window", "train", "unroll", "unroll_with_state",
]
