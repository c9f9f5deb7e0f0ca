"""How the steps of the forward run are stored or recomputed for the reverse pass: strategies as values.

A strategy makes a `Tape` for a run of T steps. The forward run puts each step's parameters, state and
gradient on it; the reverse run takes them back from the last step down. A step's activations are recomputed
there, so the optimizer's state is what grows with T. The exception is a few activations that take long to
compute for their size: `Store` keeps them if the execution reports any (`Execution.forward`).

All strategies give the same gradients, bit for bit; or to rounding, if some store such intermediates and
others recompute them. They trade memory for recomputation, and `cost` says how much of each. In vectors (P,),
for an optimizer with k slots:

====================================  ===============================  ==============================
strategy                              stored at most                   recomputed
====================================  ===============================  ==============================
`Store()`                             T (2 + k), and intermediates     nothing
`StoreGradients(slots=s)`             T + (s + 1) (1 + k)              some updates, no gradient
`SquareRoot()`                        about √T (3 + 2 k)               each step once
`Checkpoints(slots=s)`                s (1 + k) + 2 + k                t(T, s) steps (`binomial`)
`Checkpoints(s, every, within)`       s (1 + k) and one piece          fewer, for the same memory
`OnHost(memory)`                      the same, in host memory         the same
`Window(last=K, memory)`              that for T = K                   that for T = K
====================================  ===============================  ==============================

`Budget("2GiB")` chooses the fastest that fits.
"""

from farzi.unroll.memory.around import OnHost, Window
from farzi.unroll.memory.budget import Budget
from farzi.unroll.memory.checkpoints import Checkpoints, SquareRoot, StoreGradients
from farzi.unroll.memory.tape import HERE, Cost, Memory, Place, Replay, Store, Tape

# fmt: off
__all__ = [
    "HERE", "Budget", "Checkpoints", "Cost", "Memory", "OnHost", "Place", "Replay", "SquareRoot", "Store",
    "StoreGradients", "Tape", "Window",
]
# fmt: on
