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
from farzi.unroll.execution import Eager, Execution, Gathering, Sum
from farzi.unroll.optimizers import Optimizer, State, Step
from farzi.unroll.trees import StepLoss, bytes_of

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
    held: dict[str, int]  # most bytes that each part holds while it runs
    intermediates: int  # bytes of a step's intermediates
    # resident bytes of a short run on the CPU beyond its tensors: scratch memory of the kernels, and
    # fragmentation of the C library's allocator. None if it can't be measured
    overhead: int | None
    rounds: int  # how often each part was timed


class Recorded(Sum):
    """Records the terms of a sum: tensors (A,) of the leaf's shape, or factors (A, B)."""

    def __init__(self) -> None:
        self.parts: list[tuple[Tensor, ...]] = []

    def add(self, part: Tensor) -> None:
        self.parts.append((part,))

    def add_product(self, left: Tensor, right: Tensor) -> None:
        self.parts.append((left, right))

    def replay(self, bar: Sum, convert: Callable[[Tensor], Tensor] = lambda part: part) -> None:
        """Add the same terms, converted, to `bar`."""
        for part in self.parts:
            if len(part) == 1:
                bar.add(convert(part[0]))
            else:
                bar.add_product(convert(part[0]), convert(part[1]))


class Bench:
    """Runs the parts of a step one after the other on the real problem.

    Attributes:
        held: most bytes that each part holds while it runs, its results included.
        added: what a reverse step adds to each leaf of the data; None for a leaf without a gradient.
        intermediates: of the last step.
    """

    def __init__(
        self, losses: list[StepLoss], theta: Tensor, optimizer: Optimizer, execution: Execution
    ) -> None:
        self.losses, self.execution = losses, execution
        self.optimizer = optimizer.map(Tensor.detach)
        self.theta, self.state = theta, self.optimizer.init(theta)
        self.turn = 0
        self.held: dict[str, int] = {}
        self.added: list[Recorded | None] = []
        self.intermediates: tuple[Tensor, ...] = ()

    def measure(self, rounds: int, steps: int) -> Calibration:
        """Measure each part, at least `rounds` times, for a run of T = `steps` steps."""
        begin = time.perf_counter()
        self._round(timed)
        first = time.perf_counter() - begin
        self.held = self._round(added_bytes)
        times: list[dict[str, float]] = []
        while len(times) < rounds or (
            len(times) < MOST_ROUNDS and sum(sum(one.values()) for one in times) < LEAST_SECONDS
        ):
            times.append(self._round(timed))
        seconds = {name: statistics.median(one[name] for one in times) for name in times[0]}
        count = min(steps, MOST_ROUNDS)
        gathering = timed(lambda: self._gather(count), self.theta.device) / count
        eager, loss = Eager(), self.losses[0]
        bars = [Recorded() if want else None for want in loss.wanted]
        step = Step(self.theta, self.state, self.theta)
        return Calibration(
            seconds_gradient=(seconds["gradient"] + seconds["forward"]) / 2,  # the same work
            seconds_update=seconds["update"],
            seconds_reverse=seconds["pull_back"] + seconds["product"] + gathering,
            seconds_bare=seconds["pull_back"] + seconds["bare"] + gathering,
            seconds_first=first,
            flops_gradient=flops(lambda: eager.gradient(loss, self.theta)),
            flops_product=flops(lambda: eager.product(loss, step, torch.ones_like(self.theta), bars)),
            held=self.held,
            intermediates=bytes_of(self.intermediates),
            overhead=None,
            rounds=len(times),
        )

    def _round(self, meter: Callable[[Callable[[], Any], torch.device], Any]) -> dict[str, Any]:
        """Measure each part once; the run then stands one step later."""
        run, theta, figures = self.execution, self.theta, dict[str, Any]()
        loss = self.losses[self.turn % len(self.losses)]
        self.turn += 1

        def metered(name: str, operation: Callable[[], Any]) -> Any:
            results: list[Any] = []
            figures[name] = meter(lambda: results.append(operation()), theta.device)
            return results[0]

        g = metered("gradient", lambda: run.gradient(loss, theta))
        figures["forward"] = figures["gradient"]
        if run.intermediates(loss, theta):
            g, self.intermediates = metered("forward", lambda: run.forward(loss, theta))
        after, state = metered("update", lambda: run.update(self.optimizer, g, self.state, theta))
        bars = [g, *(torch.ones_like(slot) for slot in self.state.slots)]
        step = Step(theta, self.state, g, self.intermediates)
        pulled = metered("pull_back", lambda: run.pull_back(self.optimizer, step, bars))
        for name, given in {"product": step, "bare": Step(theta, self.state, g)}.items():
            if name == "bare" and not self.intermediates:
                figures["bare"] = figures["product"]
                break
            self.added = [Recorded() if want else None for want in loss.wanted]
            metered(name, partial(run.product, loss, given, pulled.gradient, self.added))
        last = len(self.losses) - 1  # not beyond it: schedules of hyper-parameters may end there
        self.theta, self.state = after, State(min(state.step, last), state.slots)
        return figures

    def _gather(self, count: int) -> None:
        """Add up the terms of the last reverse step, `count` times."""
        for leaf, added in zip(self.losses[0].leaves, self.added, strict=True):
            if added is not None:
                bar = Gathering(leaf)
                for _ in range(count):
                    added.replay(bar)
                bar.total()


def timed(operation: Callable[[], Any], device: torch.device) -> float:
    """Seconds until a call's result is there."""
    begin = time.perf_counter()
    operation()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin
