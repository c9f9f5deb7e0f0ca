"""Differentiable training: exact gradients through the steps of an optimizer.

    theta = unroll(loss, theta0, data, Adam(0.01), batches)
    outer(theta).backward()  # fills .grad of data, of theta0 and of the optimizer's hyper-parameters

Three parts. The core lies in this folder: start with `adjoint`, then read `run`, `optimizers`, `execution`,
`memory`. `compile` runs steps as traced graphs. `diagnostics` checks a metagradient and plans
what a run takes. The core imports neither. The package knows tensors only and imports nothing else of Farzi.
"""

from farzi.unroll.adjoint import Adjoint, Exact
from farzi.unroll.algorithm1 import Algorithm1
from farzi.unroll.compile.cache import ExecutionWarning
from farzi.unroll.compile.compiled import Compiled
from farzi.unroll.compile.graph import Fusion, add_rewrite, cuda_graphs, inductor, interpreter
from farzi.unroll.curvature import Curvature, ForwardOverReverse, ReverseOverReverse
from farzi.unroll.diagnostics.calibration import Calibration
from farzi.unroll.diagnostics.check import check, compare_precision
from farzi.unroll.diagnostics.plan import Plan, PlanRow, plan
from farzi.unroll.diagnostics.verdict import Check, Difference, Precision, Remedy
from farzi.unroll.execution import Eager, Execution
from farzi.unroll.memory import (
    Budget,
    Checkpoints,
    Cost,
    Memory,
    OnHost,
    Place,
    Replay,
    SquareRoot,
    Store,
    StoreGradients,
    Tape,
    Window,
)
from farzi.unroll.muon import Muon
from farzi.unroll.optimizers import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Momentum,
    Optimizer,
    RMSprop,
    ScheduleFree,
    State,
    Step,
)
from farzi.unroll.repeats import RepeatError
from farzi.unroll.run import Trained, train, unroll, unroll_with_state
from farzi.unroll.trees import stack, stacked_loss, unstack

# fmt: off
__all__ = [  # noqa: RUF022 (by part)
    # the core: runs, adjoints, optimizers
    "RepeatError", "Trained", "train", "unroll", "unroll_with_state",
    "Adjoint", "Algorithm1", "Exact",
    "Adagrad", "Adam", "AdamW", "Momentum", "Muon", "Optimizer", "RMSprop", "SGD", "ScheduleFree", "State",
    "Curvature", "Eager", "Execution", "ForwardOverReverse", "ReverseOverReverse",
    "stack", "stacked_loss", "unstack",
    # memory
    "Budget", "Checkpoints", "Cost", "Memory", "OnHost", "Place", "Replay", "SquareRoot", "Step", "Store",
    "StoreGradients", "Tape", "Window",
    # compile
    "Compiled", "ExecutionWarning", "Fusion", "add_rewrite", "cuda_graphs", "inductor", "interpreter",
    # diagnostics
    "Calibration", "Check", "Difference", "Plan", "PlanRow", "Precision", "Remedy", "check",
    "compare_precision", "plan",
]
# fmt: on
