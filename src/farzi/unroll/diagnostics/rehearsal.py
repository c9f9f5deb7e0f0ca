"""A run without its arithmetic: what it would hold, and what it would call.

The engine itself goes through all steps, forward and back, on tensors that have shapes and no memory
(PyTorch's meta device). Stand-ins for the parts of a step return empty results and count the bytes that the
real parts hold for a moment, which were measured. What the tape holds at any time, what is held besides, and
how often the loss is called then follow from the engine's own code, for any strategy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from farzi.unroll.adjoint import Adjoint
from farzi.unroll.diagnostics.calibration import Bench
from farzi.unroll.diagnostics.footprint import Live
from farzi.unroll.execution import Execution, Intermediates, Sum
from farzi.unroll.memory import HERE, Cost, Memory, Place, Replay, Tape
from farzi.unroll.optimizers import After, Optimizer, PulledBack, State, Step
from farzi.unroll.run import unroll
from farzi.unroll.trees import StepLoss, Tree, map_tree, tree_leaves


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
