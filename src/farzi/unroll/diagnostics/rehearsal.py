"""A run without its arithmetic: what it would hold, and what it would call.

The engine itself goes through all steps, forward and back, on tensors that have shapes and no memory
(PyTorch's meta device). Stand-ins for the parts of a step return empty results and count the bytes that the
real parts hold for a moment, which were measured. What the tape holds at any time, what is held besides, and
how often the loss is called then follow from the engine's own code, for any strategy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from farzi.unroll.adjoint import Adjoint
from farzi.unroll.diagnostics.footprint import Live
from farzi.unroll.execution import Execution, Intermediates, StepLoss, Sum
from farzi.unroll.memory import HERE, Cost, Memory, OnHost, Place, Replay, Tape
from farzi.unroll.optimizers import Hypers, Optimizer, State
from farzi.unroll.run import unroll
from farzi.unroll.trees import Tree, bytes_of, tree_leaves, with_leaves
from farzi.unroll.update import PulledBack, Step

META = torch.device("meta")


class Recorded(Sum):
    """Records the terms of a sum: tensors (A,) of the leaf's shape, or factors (A, B)."""

    def __init__(self) -> None:
        self.parts: list[tuple[Tensor, ...]] = []

    def add(self, part: Tensor) -> None:
        self.parts.append((part,))

    def add_product(self, left: Tensor, right: Tensor) -> None:
        self.parts.append((left, right))

    def replay(self, bar: Sum, device: torch.device | None = None) -> None:
        """Add the same terms to `bar`; on another device, empty tensors of these shapes."""
        for part in self.parts:
            there = part if device is None else [_empty(tensor) for tensor in part]
            if len(there) == 1:
                bar.add(there[0])
            else:
                bar.add_product(there[0], there[1])


class Bytes(NamedTuple):
    """The most bytes that each part of a step holds while it runs, its results included."""

    gradient: int
    forward: int  # the gradient and the intermediates
    update: int
    pull_back: int
    product: int
    bare: int  # the product without the intermediates


class Parts(NamedTuple):
    """The parts of a step, as measured on the real problem."""

    held: Bytes
    added: list[Recorded | None]  # to each leaf of the data by a reverse step; None: it has no gradient
    intermediates: tuple[Tensor, ...]


class Rehearsal(NamedTuple):
    """What a run would take."""

    peak: int  # bytes on the run's device, beyond theta0, data and hyper-parameters
    gradients: int  # forward and recomputed
    updates: int  # forward and recomputed
    products: int  # one per reverse step
    bare: int  # of these, those that recompute their intermediates


def rehearse(
    adjoint: Adjoint, memory: Memory, theta0: Tree, data: Tree, optimizer: Optimizer, steps: int, parts: Parts
) -> Rehearsal:
    """Go through a run of T = `steps` steps and its reverse pass."""
    device = tree_leaves(theta0)[0].device
    inputs = [_like(leaf) for leaf in tree_leaves(theta0)]
    leaves = [_like(leaf) for leaf in tree_leaves(data)]
    hypers = {name: _like(value) for name, value in optimizer.hypers()}
    known = [*inputs, *leaves, *hypers.values()]
    wanted = [tensor for tensor in known if tensor.requires_grad]
    live = Live(META, known)
    stand_in = _StandIn(live, parts)
    with live, torch.enable_grad():
        end = unroll(
            lambda theta, data, batch: theta,  # never called
            with_leaves(theta0, inputs),
            with_leaves(data, leaves),
            optimizer.with_hypers(hypers),
            range(steps),
            adjoint=_Stored(adjoint, _elsewhere(memory, device)),
            execution=stand_in,
        )
        ends = tree_leaves(end)
        grads = torch.autograd.grad(ends, wanted, [_empty(leaf) for leaf in ends], allow_unused=True)
    del grads
    return Rehearsal(live.most, stand_in.gradients, stand_in.updates, stand_in.products, stand_in.bare)


def _empty(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=META)


def _like(tensor: Tensor) -> Tensor:
    return _empty(tensor).requires_grad_(tensor.requires_grad)


class _StandIn(Execution):
    """Returns empty results, notes the bytes that the real execution holds, and counts calls."""

    def __init__(self, live: Live, parts: Parts) -> None:
        self.live, (self.held, self.added, self.kept) = live, parts
        self.gradients = self.updates = self.products = self.bare = 0

    def gradient(self, loss: StepLoss, theta: Tensor, leaves: Sequence[Tensor]) -> Tensor:
        self.live.note(self.held.gradient)
        self.gradients += 1
        return _empty(theta)

    def forward(
        self, loss: StepLoss, theta: Tensor, leaves: Sequence[Tensor], wanted: Sequence[bool]
    ) -> tuple[Tensor, Intermediates]:
        self.live.note(self.held.forward)
        self.gradients += 1
        return _empty(theta), tuple(_empty(part) for part in self.kept)

    def intermediates(
        self, loss: StepLoss, theta: Tensor, leaves: Sequence[Tensor], wanted: Sequence[bool]
    ) -> int:
        return bytes_of(self.kept)

    def product(
        self,
        loss: StepLoss,
        theta: Tensor,
        leaves: Sequence[Tensor],
        direction: Tensor,
        data_bars: Sequence[Sum | None],
        intermediates: Intermediates = (),
    ) -> Tensor:
        bare = len(intermediates) < len(self.kept)
        self.live.note(self.held.bare if bare else self.held.product)
        self.products += 1
        self.bare += bare
        for bar, added in zip(data_bars, self.added, strict=True):
            if bar is not None and added is not None:
                added.replay(bar, META)
        return _empty(theta)

    def update(
        self, optimizer: Optimizer, gradient: Tensor, state: State, theta: Tensor
    ) -> tuple[Tensor, State]:
        self.live.note(self.held.update)
        self.updates += 1
        return _empty(theta), State(state.step + 1, tuple(_empty(slot) for slot in state.slots))

    def pull_back(
        self, optimizer: Optimizer, hypers: Hypers, step: Step, theta_bar: Tensor, slots_bar: Sequence[Tensor]
    ) -> PulledBack:
        self.live.note(self.held.pull_back)
        slots = [_empty(slot) for slot in step.state.slots]
        return PulledBack(
            _empty(step.gradient), _empty(step.theta), slots, [_empty(value) for value in hypers.values()]
        )


@dataclass(frozen=True)
class _Stored(Adjoint):
    """Another adjoint, with its steps stored by another memory strategy."""

    adjoint: Adjoint
    memory: Memory

    def strategy(self) -> Memory:
        return self.memory

    def precision(self, dtype: torch.dtype) -> torch.dtype:
        return self.adjoint.precision(dtype)

    def pull_back(self, *args: Any, **kwargs: Any) -> PulledBack:
        return self.adjoint.pull_back(*args, **kwargs)


@dataclass(frozen=True)
class _Elsewhere(Memory):
    """Stores another strategy's tensors in host memory: nothing on the run's device."""

    memory: Memory

    def tape(self, steps: int, replay: Replay, place: Place = HERE) -> Tape:
        return self.memory.tape(steps, replay, _Away())

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        return OnHost(self.memory).cost(steps, parameters, slots, intermediates)

    def keeps_intermediates(self) -> bool:
        return self.memory.keeps_intermediates()


class _Away(Place):
    def keep(self, tensor: Tensor) -> Tensor:
        return tensor.new_empty(1).expand(tensor.shape)

    def fetch(self, kept: Tensor) -> Tensor:
        return _empty(kept)


def _elsewhere(memory: Any, device: torch.device) -> Any:
    """The strategy with every `OnHost` in it replaced by one for tensors without memory."""
    if isinstance(memory, OnHost):
        inner = _elsewhere(memory.memory, device)
        return inner if device.type == "cpu" else _Elsewhere(inner)
    if not is_dataclass(memory) or isinstance(memory, type):
        return memory
    inner = {part.name: getattr(memory, part.name) for part in fields(memory) if part.init}
    changed = {name: _elsewhere(value, device) for name, value in inner.items() if isinstance(value, Memory)}
    return replace(memory, **changed) if changed else memory
