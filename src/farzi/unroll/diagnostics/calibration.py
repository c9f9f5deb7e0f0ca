"""The parts of a step, measured on the real problem: seconds, bytes and floating-point operations."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from farzi.unroll.diagnostics.footprint import added_bytes, flops
from farzi.unroll.diagnostics.rehearsal import Bytes, Parts, Recorded
from farzi.unroll.execution import Eager, Execution, Gathering, StepLoss
from farzi.unroll.optimizers import Optimizer, State
from farzi.unroll.trees import Tree, bytes_of, tree_leaves
from farzi.unroll.update import Step

LEAST_SECONDS = 1.0
MOST_ROUNDS = 25
"""A part is timed until its calls have taken this long together, or this often."""


@dataclass(frozen=True)
class Calibration:
    """Measurements of the parts of a step."""

    seconds_gradient: float  # of ∇θ L, seconds per call; all times are medians
    seconds_update: float  # of the optimizer's update
    # of a reverse step: the update's vector-Jacobian product, the product with second derivatives, and the
    # sum of the data's cotangent
    seconds_reverse: float
    seconds_bare: float  # of a reverse step that recomputes its intermediates
    seconds_first: float  # of the first call of each part: tracing and compiling, if the execution does so
    flops_gradient: int  # of ∇θ L; products of matrices, convolutions and attention are counted, by autograd
    flops_product: int  # of the product with second derivatives, by autograd; a compiled graph may need fewer
    held: Bytes  # most bytes that each part holds while it runs
    intermediates: int  # bytes of a step's intermediates
    # resident bytes of a short run on the CPU beyond its tensors: scratch memory of the kernels, and
    # fragmentation of the C library's allocator. None if it can't be measured
    overhead: int | None
    rounds: int  # how often each part was timed


class Bench:
    """Runs the parts of a step one after the other on the real problem."""

    def __init__(
        self, losses: list[StepLoss], theta: Tensor, data: Tree, optimizer: Optimizer, execution: Execution
    ) -> None:
        self.losses, self.execution, self.given = losses, execution, optimizer
        self.hypers = {name: value.detach() for name, value in optimizer.hypers()}
        self.optimizer = optimizer.with_hypers(self.hypers)
        self.leaves = tree_leaves(data)
        self.theta, self.state = theta, self.optimizer.init(theta)
        self.turn = 0
        self.added: list[Recorded | None] = []
        self.intermediates: tuple[Tensor, ...] = ()

    def measure(self, rounds: int, steps: int) -> tuple[Calibration, Parts]:
        """The measurements, and the parts of a step for a rehearsal."""
        begin = time.perf_counter()
        self._round(timed)
        first = time.perf_counter() - begin
        held = Bytes(*self._round(added_bytes))
        times: list[list[float]] = []
        while len(times) < rounds or (len(times) < MOST_ROUNDS and sum(map(sum, times)) < LEAST_SECONDS):
            times.append(self._round(timed))
        gradient, forward, update, pull_back, product, bare = map(statistics.median, zip(*times, strict=True))
        gathering = timed(lambda: self._gather(min(steps, MOST_ROUNDS)), self.theta.device)
        flops_gradient, flops_product = self._flops()
        calibration = Calibration(
            seconds_gradient=(gradient + forward) / 2,  # the same work
            seconds_update=update,
            seconds_reverse=pull_back + product + gathering / min(steps, MOST_ROUNDS),
            seconds_bare=pull_back + bare + gathering / min(steps, MOST_ROUNDS),
            seconds_first=first,
            flops_gradient=flops_gradient,
            flops_product=flops_product,
            held=held,
            intermediates=bytes_of(self.intermediates),
            overhead=None,
            rounds=len(times),
        )
        return calibration, Parts(held, self.added, self.intermediates)

    def _round(self, meter: "Callable[[Callable[[], Any], torch.device], Any]") -> list[Any]:
        """Measure each part once; the run then stands one step later."""
        run, device = self.execution, self.theta.device
        loss = self.losses[self.turn % len(self.losses)]
        self.turn += 1
        figures: list[Any] = []

        def metered(operation: Callable[[], Any]) -> Any:
            results: list[Any] = []
            figures.append(meter(lambda: results.append(operation()), device))
            return results[0]

        wanted = [leaf.requires_grad for leaf in self.leaves]
        g = metered(lambda: run.gradient(loss, self.theta, self.leaves))
        if run.intermediates(loss, self.theta, self.leaves, wanted):
            g, self.intermediates = metered(lambda: run.forward(loss, self.theta, self.leaves, wanted))
        else:
            figures.append(figures[-1])
        theta, state = metered(lambda: run.update(self.optimizer, g, self.state, self.theta))
        step = Step(self.theta, self.state, g)
        bars = [torch.ones_like(slot) for slot in self.state.slots]
        pulled = metered(lambda: run.pull_back(self.given, self.hypers, step, g, bars))
        for kept in (self.intermediates, ()) if self.intermediates else ((),):
            self.added = [Recorded() if want else None for want in wanted]
            metered(partial(run.product, loss, self.theta, self.leaves, pulled.gradient, self.added, kept))
        figures += figures[-1:] * (6 - len(figures))
        last = len(self.losses) - 1  # not beyond it: schedules of hyper-parameters may end there
        self.theta, self.state = theta, State(min(state.step, last), state.slots)
        return figures

    def _gather(self, count: int) -> None:
        """Add up the terms of the last reverse step, `count` times."""
        for leaf, added in zip(self.leaves, self.added, strict=True):
            if added is not None:
                bar = Gathering(leaf)
                for _ in range(count):
                    added.replay(bar)
                bar.total()

    def _flops(self) -> tuple[int, int]:
        """Of a gradient and a product, run eagerly."""
        eager, loss = Eager(), self.losses[0]
        bars = [Recorded() if leaf.requires_grad else None for leaf in self.leaves]
        return (
            flops(lambda: eager.gradient(loss, self.theta, self.leaves)),
            flops(lambda: eager.product(loss, self.theta, self.leaves, torch.ones_like(self.theta), bars)),
        )


def timed(operation: Callable[[], Any], device: torch.device) -> float:
    """Seconds until a call's result is there."""
    begin = time.perf_counter()
    operation()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin
