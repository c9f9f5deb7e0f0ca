"""The parts of a step measured on the real problem, and a whole run without its arithmetic.

In a rehearsal the engine itself goes through all steps, forward and back, on tensors that have shapes and no
memory (PyTorch's meta device). Stand-ins for the parts of a step return empty results and count the bytes
that the real parts were measured to hold for a moment. Bytes and calls then follow for any strategy.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from farzi.unroll.adjoint import Adjoint
from farzi.unroll.diagnostics.footprint import Live, added_bytes, flops
from farzi.unroll.execution import Eager, Execution, Gathering, Intermediates, Sum
from farzi.unroll.memory import HERE, Cost, Memory, Place, Replay, Tape
from farzi.unroll.optimizers import After, Optimizer, PulledBack, State, Step
from farzi.unroll.run import unroll
from farzi.unroll.trees import StepLoss, Tree, bytes_of, map_tree, tree_leaves

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


class Rehearsal(Execution):
    """Returns empty results; counts bytes, gradients, updates, reverse steps, and the bare ones of them."""

    def __init__(self, live: Live, bench: Bench) -> None:
        self.live, self.bench = live, bench
        self.gradients = self.updates = self.products = self.bare = 0

    def gradient(self, loss: StepLoss, theta: Tensor) -> Tensor:
        self.live.note(self.bench.held["gradient"])
        self.gradients += 1
        return _empty(theta)

    def forward(self, loss: StepLoss, theta: Tensor) -> tuple[Tensor, Intermediates]:
        self.live.note(self.bench.held["forward"])
        self.gradients += 1
        return _empty(theta), tuple(map(_empty, self.bench.intermediates))

    def product(self, loss: StepLoss, step: Step, direction: Tensor, bars: Sequence[Sum | None]) -> Tensor:
        bare = len(step.intermediates) < len(self.bench.intermediates)
        self.live.note(self.bench.held["bare" if bare else "product"])
        self.products += 1
        self.bare += bare
        for bar, added in zip(bars, self.bench.added, strict=True):
            if bar is not None and added is not None:
                added.replay(bar, _empty)
        if loss.again is not None:
            loss.again(step.gradient)  # without contents: there is nothing to compare
        return _empty(direction)

    def update(self, optimizer: Optimizer, gradient: Tensor, state: State, theta: Tensor) -> After:
        self.live.note(self.bench.held["update"])
        self.updates += 1
        return _empty(theta), State(state.step + 1, state.map(_empty).slots)

    def pull_back(self, optimizer: Optimizer, step: Step, after: Sequence[Tensor]) -> PulledBack:
        self.live.note(self.bench.held["pull_back"])
        empty = step.map(_empty)
        hypers = [_empty(value) for _, value in optimizer.hypers()]
        return PulledBack(empty.gradient, empty.theta, list(empty.state.slots), hypers)


def rehearse(
    adjoint: Adjoint, memory: Memory, theta0: Tree, data: Tree, optimizer: Optimizer, steps: int, bench: Bench
) -> Rehearsal:
    """Go through a run of T = `steps` steps and its reverse pass."""
    theta0, data, optimizer = map_tree(_like, theta0), map_tree(_like, data), optimizer.map(_like)
    known = [*tree_leaves(theta0), *tree_leaves(data), *(value for _, value in optimizer.hypers())]
    wanted = [tensor for tensor in known if tensor.requires_grad]
    live = Live(torch.device("meta"), known)
    rehearsal = Rehearsal(live, bench)
    with live, torch.enable_grad():
        end = unroll(
            lambda theta, data, batch: theta,  # never called
            theta0,
            data,
            optimizer,
            range(steps),
            adjoint=_On(bench.theta.device, adjoint, memory),
            execution=rehearsal,
        )
        ends = tree_leaves(end)
        grads = torch.autograd.grad(ends, wanted, [_empty(leaf) for leaf in ends], allow_unused=True)
    del grads
    return rehearsal


def _empty(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")


def _like(tensor: Tensor) -> Tensor:
    return _empty(tensor).requires_grad_(tensor.requires_grad)


@dataclass(frozen=True)
class _On(Adjoint, Memory):
    """An adjoint and a memory strategy, for which the run is on a real device."""

    device: torch.device
    adjoint: Adjoint
    memory: Memory

    def strategy(self) -> Memory:
        return self

    def precision(self, dtype: torch.dtype) -> torch.dtype:
        return self.adjoint.precision(dtype)

    def pull_back(self, *args: Any, **kwargs: Any) -> PulledBack:
        return self.adjoint.pull_back(*args, **kwargs)

    def tape(self, steps: int, replay: Replay, place: Place = HERE) -> Tape:
        return self.memory.tape(steps, replace(replay, device=self.device), place)

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        return self.memory.cost(steps, parameters, slots, intermediates)
