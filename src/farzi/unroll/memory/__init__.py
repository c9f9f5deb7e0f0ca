"""What is kept of the forward run for the reverse one: strategies as values.

A strategy makes a `Tape` for a run of T steps. The forward run offers it each step's parameters, state and
gradient; the reverse run asks for them from the last step down. A step's activations are made again there, so
that the optimizer's state is what grows with T; only the few of them that took long to make for their size
are kept by `Store`, if the execution has found any (`Execution.forward`).

All strategies but `Invert` give the same gradients: bit for bit, or to rounding where some keep such
intermediates and others make them again. They trade memory for steps made again, and `cost` says how much of
each. In vectors (P,), for an optimizer of k slots:

====================================  ===============================  ==============================
strategy                              kept at most                     made again
====================================  ===============================  ==============================
`Store()`                             T (2 + k), and intermediates     nothing
`StoreGradients(slots=s)`             T + (s + 1) (1 + k)              some updates, no gradient
`SquareRoot()`                        about √T (3 + 2 k)               each step once
`Checkpoints(slots=s)`                s (1 + k) + 2 + k                t(T, s) steps (`binomial`)
`Checkpoints(s, every, within)`       s (1 + k) and one piece          fewer, for the same memory
`OnHost(memory)`                      the same, in host memory         the same
`Window(last=K, memory)`              that for T = K                   that for T = K
`Invert(dtype)`                       2 + k                            each step once, inexactly
====================================  ===============================  ==============================

`Budget("2GiB")` chooses.
"""

from farzi.unroll.memory.budget import Budget as Budget
from farzi.unroll.memory.budget import chosen as chosen
from farzi.unroll.memory.checkpoints import Checkpoints as Checkpoints
from farzi.unroll.memory.checkpoints import SquareRoot as SquareRoot
from farzi.unroll.memory.gradients import StoreGradients as StoreGradients
from farzi.unroll.memory.host import OnHost as OnHost
from farzi.unroll.memory.invert import Invert as Invert
from farzi.unroll.memory.store import Store as Store
from farzi.unroll.memory.tape import Cost as Cost
from farzi.unroll.memory.tape import Memory as Memory
from farzi.unroll.memory.tape import Place as Place
from farzi.unroll.memory.tape import Replay as Replay
from farzi.unroll.memory.tape import Tape as Tape
from farzi.unroll.memory.window import Window as Window
from farzi.unroll.update import Step as Step

__all__ = [
    "Budget",
    "Checkpoints",
    "Cost",
    "Invert",
    "Memory",
    "OnHost",
    "Place",
    "Replay",
    "SquareRoot",
    "Step",
    "Store",
    "StoreGradients",
    "Tape",
    "Window",
    "chosen",
]
