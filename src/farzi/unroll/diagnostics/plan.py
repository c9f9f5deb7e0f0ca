"""What a run will take before it runs: bytes, model calls, FLOPs and seconds for each memory strategy.

Each part of a step runs a few times on the real problem and is measured (`calibration`). How often each is
called, and what is held meanwhile, follows from a rehearsal of the whole run, which is exact and takes
milliseconds.
"""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

import torch

from farzi.unroll.adjoint import AdjointLike, Exact, chosen
from farzi.unroll.diagnostics.calibration import Bench, Calibration, rehearse
from farzi.unroll.diagnostics.footprint import resident_bytes
from farzi.unroll.execution import Eager, Execution
from farzi.unroll.memory import Budget, Checkpoints, Memory, SquareRoot, Store, StoreGradients
from farzi.unroll.optimizers import Optimizer
from farzi.unroll.repeats import RandomState, replayed
from farzi.unroll.run import Batches, unroll
from farzi.unroll.trees import Layout, StepLoss, Tree, TreeLoss, bytes_of, check_tree, tree_leaves

MEMORIES: tuple[Memory, ...] = (Store(), StoreGradients(), SquareRoot(), Checkpoints(slots=4))
"""The default strategies of a plan."""

SHORT = 3
"""Steps of the short run that measures what a process holds beyond its tensors."""


@dataclass(frozen=True)
class PlanRow:
    """What a run with one strategy takes, forward and back."""

    memory: Memory  # the strategy
    budget: str | None  # the bytes for which it was chosen, as given; None if it was given itself
    tape_bytes: int  # most bytes of its tape on the run's device
    host_bytes: int  # most bytes of its tape in host memory
    # most bytes of tensors on the run's device, the tape included; theta0, data, hyper-parameters and the
    # outer loss are not
    peak_bytes: int
    # expected growth of the process on the CPU: `peak_bytes` and the calibration's overhead; None if that was
    # not measured
    resident_bytes: int | None
    gradients: int  # gradients of the loss, forward and recomputed; model calls
    products: int  # products with second derivatives, one per differentiated step; model calls
    updates: int  # updates of the optimizer, forward and recomputed
    flops: int  # of all of these
    seconds: float  # of all of these, without the tracing and compiling of first calls

    @property
    def name(self) -> str:
        """The strategy as Python code, without settings at their defaults."""
        return _written(self.memory)


@dataclass(frozen=True)
class Plan:
    """What a run will take with each strategy."""

    steps: int  # T
    parameters: int  # P
    data_bytes: int  # of the data's cotangents
    calibration: Calibration  # the measurements
    rows: tuple[PlanRow, ...]  # one per strategy, in the order given


def plan(
    loss: TreeLoss,
    theta0: Tree,
    data: Tree,
    optimizer: Optimizer,
    batches: Batches,
    memories: Sequence[AdjointLike] | None = None,
    *,
    execution: Execution | None = None,
    calibrate: int = 2,
) -> Plan:
    """What `unroll` and its backward pass will take; arguments as there.

    The loss is called about `4 + calibrate` times for its gradient, and as often for second derivatives, on
    the first batches. A run with an equal `execution` uses the graphs compiled here.

    - memories: strategies, bytes such as "2GiB", or adjoints; `MEMORIES` if left out.
    - calibrate: the least number of times that each part of a step is timed.

    Raises:
        TypeError: as `unroll`.
        ValueError: as `unroll`; nothing requires a gradient; `batches` is empty; `calibrate` is less than 1;
            nothing fits in the given bytes.
        NotImplementedError: an operation of the loss has no second derivative.
    """
    if len(batches) == 0:
        raise ValueError("batches is empty: a plan needs a step to measure")
    if calibrate < 1:
        raise ValueError(f"calibrate={calibrate}: a step must be timed at least once")
    check_tree("data", data)
    layout = Layout.of(theta0)
    differentiated = [*tree_leaves(theta0), *tree_leaves(data), *dict(optimizer.hypers()).values()]
    if not any(tensor.requires_grad for tensor in differentiated):
        raise ValueError("no leaf of theta0 or data and no hyper-parameter requires a gradient")
    optimizer.check_hypers(len(batches))
    theta, steps = layout.flatten(theta0).detach(), len(batches)
    losses = [StepLoss(loss, layout, data, batches[index]) for index in range(min(steps, 1 + calibrate))]
    execution = execution or Eager()
    bench = Bench(losses, theta, optimizer, execution)

    def short_run() -> Any:
        wanted = [tensor for tensor in differentiated if tensor.requires_grad]
        with torch.enable_grad():
            ends = tree_leaves(unroll(loss, theta0, data, optimizer, batches[:SHORT], execution=execution))
            bars = [torch.ones_like(leaf) for leaf in ends]
            return torch.autograd.grad(ends, wanted, bars, allow_unused=True)

    def row(given: AdjointLike) -> PlanRow:
        adjoint, memory = chosen(given)
        budget, size, kept = None, theta.element_size(), calibration.intermediates
        if isinstance(memory, Budget):
            budget = memory.size
            memory = memory.choose(steps, theta.numel(), optimizer.slots, size, -(-kept // size))
        size = adjoint.precision(layout.dtype).itemsize
        cost = memory.cost(steps, theta.numel(), optimizer.slots, -(-kept // size))
        run = rehearse(adjoint, memory, theta0, data, optimizer, steps, bench)
        peak, overhead = run.live.most, calibration.overhead
        return PlanRow(
            memory=memory,
            budget=budget,
            tape_bytes=cost.device * size,
            host_bytes=cost.host * size,
            peak_bytes=peak,
            resident_bytes=None if overhead is None else peak + overhead,
            gradients=run.gradients,
            products=run.products,
            updates=run.updates,
            flops=run.gradients * calibration.flops_gradient + run.products * calibration.flops_product,
            seconds=run.gradients * calibration.seconds_gradient
            + run.updates * calibration.seconds_update
            + (run.products - run.bare) * calibration.seconds_reverse
            + run.bare * calibration.seconds_bare,
        )

    with replayed(RandomState.now(theta.device)), torch.no_grad():
        calibration = bench.measure(calibrate, steps)
        resident = resident_bytes(short_run) if theta.device.type == "cpu" else None
        if resident is not None:
            short = rehearse(Exact(), Store(), theta0, data, optimizer, min(steps, SHORT), bench)
            calibration = replace(calibration, overhead=max(0, resident - short.live.most))
        rows = tuple(map(row, MEMORIES if memories is None else memories))
    data_bytes = bytes_of(leaf for leaf in tree_leaves(data) if leaf.requires_grad)
    return Plan(steps, theta.numel(), data_bytes, calibration, rows)


def _written(value: Any) -> str:
    """A dataclass as Python code; fields at their defaults are left out."""
    given = []
    for part in fields(value):
        now = getattr(value, part.name)
        default = part.default_factory() if part.default_factory is not MISSING else part.default
        if now != default:
            given.append(f"{part.name}={_written(now) if isinstance(now, Memory) else repr(now)}")
    return f"{type(value).__name__}({', '.join(given)})"
