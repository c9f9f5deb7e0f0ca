"""A run without its arithmetic: what it would hold, and what it would call.

The engine itself goes through all steps, forward and back, on tensors that have shapes and no memory
(PyTorch's meta device). The four parts of a step are stood in for by ones that give empty results and know
how many bytes the real ones hold for a moment, which was measured. What the tape holds when, what lies beside
it, and how often the loss is called then follow from the engine's own code, for any strategy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from farzi.unroll.execution import Intermediates, StepLoss
from farzi.unroll.footprint import Live
from farzi.unroll.gathering import Gathering
from farzi.unroll.memory import Cost, Memory, OnHost, Place, Replay, Tape
from farzi.unroll.optimizers import Optimizer, State
from farzi.unroll.run import unroll
from farzi.unroll.trees import Tree, bytes_of, tree_leaves, with_leaves
from farzi.unroll.update import PulledBack, Step

META = torch.device("meta")

Parts = list[tuple[Tensor, ...]]
"""What one reverse step adds to a leaf of the data: tensors (A,) of its shape, or factors (A, B)."""


class Recorded(Gathering):
    """Notes what is added, instead of adding it."""

    def __init__(self) -> None:
        self.parts: Parts = []

    def add(self, part: Tensor) -> None:
        self.parts.append((part,))

    def add_product(self, left: Tensor, right: Tensor) -> None:
        self.parts.append((left, right))

    def replay(self, bar: Gathering, device: torch.device | None = None) -> None:
        """Add the same to `bar`; on another device, empty tensors of these shapes."""
        for part in self.parts:
            there = part if device is None else [_empty(tensor) for tensor in part]
            if len(there) == 1:
                bar.add(there[0])
            else:
                bar.add_product(there[0], there[1])


@dataclass(frozen=True)
class Bytes:
    """What each part of a step holds at most while it is at work, its results included.

    Attributes:
        gradient: ∇θ L.
        forward: the same, with the intermediates worth keeping.
        update: the optimizer's update.
        pull_back: the update's vector-Jacobian product.
        product: the product with second derivatives.
        bare: the same without the intermediates.
    """

    gradient: int
    forward: int
    update: int
    pull_back: int
    product: int
    bare: int


@dataclass(frozen=True)
class Rehearsal:
    """What a run would take.

    Attributes:
        peak: bytes held at most where the run is, beyond theta0, data and hyper-parameters.
        gradients: gradients of the loss, forward and again.
        updates: updates of the optimizer, forward and again.
        products: reverse steps.
        bare: those of them that make their intermediates again.
    """

    peak: int
    gradients: int
    updates: int
    products: int
    bare: int


def rehearse(
    memory: Memory,
    theta0: Tree,
    data: Tree,
    optimizer: Optimizer,
    steps: int,
    held: Bytes,
    added: Sequence[Recorded | None],
    intermediates: Sequence[Tensor] = (),
) -> Rehearsal:
    """Go through a run and its reverse pass.

    Args:
        memory: how steps are kept.
        theta0: the first parameters.
        data: what the loss is trained on; those of its leaves that require a gradient get one.
        optimizer: the optimizer; so do its hyper-parameters.
        steps: T.
        held: what the parts of a step hold.
        added: what a reverse step adds to each leaf of the data; None where no gradient is wanted.
        intermediates: what a step's intermediates are like.
    """
    device = tree_leaves(theta0)[0].device
    inputs = [_like(leaf) for leaf in tree_leaves(theta0)]
    leaves = [_like(leaf) for leaf in tree_leaves(data)]
    hypers = {name: _like(value) for name, value in optimizer.hypers()}
    known = [*inputs, *leaves, *hypers.values()]
    wanted = [tensor for tensor in known if tensor.requires_grad]
    live = Live(META, known)
    stand_in = _StandIn(live, held, list(added), list(intermediates))
    with live:
        end = unroll(
            _not_called,
            with_leaves(theta0, inputs),
            with_leaves(data, leaves),
            optimizer.with_hypers(hypers),
            range(steps),
            _elsewhere(memory, device),
            execution=stand_in,
        )
        ends = tree_leaves(end)
        grads = torch.autograd.grad(ends, wanted, [_empty(leaf) for leaf in ends], allow_unused=True)
    del grads
    return Rehearsal(live.most, stand_in.gradients, stand_in.updates, stand_in.products, stand_in.bare)


def _not_called(theta: Any, data: Any, batch: Any) -> Tensor:
    raise AssertionError("a rehearsal has no loss")


def _empty(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=META)


def _like(tensor: Tensor) -> Tensor:
    return _empty(tensor).requires_grad_(tensor.requires_grad)


class _StandIn:
    """An `Execution` that gives empty results, notes what the real one holds, and counts."""

    def __init__(
        self, live: Live, held: Bytes, added: Sequence[Recorded | None], kept: Sequence[Tensor]
    ) -> None:
        self.live, self.held, self.added, self.kept = live, held, added, kept
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
        data_bars: Sequence[Gathering | None],
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
        self,
        optimizer: Optimizer,
        hypers: Mapping[str, Tensor],
        step: Step,
        theta_bar: Tensor,
        slots_bar: Sequence[Tensor],
    ) -> PulledBack:
        self.live.note(self.held.pull_back)
        slots = [_empty(slot) for slot in step.state.slots]
        return PulledBack(
            _empty(step.gradient), _empty(step.theta), slots, [_empty(value) for value in hypers.values()]
        )


@dataclass(frozen=True)
class _Elsewhere(Memory):
    """Keeps in the host's memory what another strategy keeps: nothing is held where the run is."""

    memory: Memory

    def tape(self, steps: int, replay: Replay, place: Place | None = None) -> Tape:
        return self.memory.tape(steps, replay, _Away())

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        return OnHost(self.memory).cost(steps, parameters, slots, intermediates)

    def precision(self, dtype: torch.dtype) -> torch.dtype:
        return self.memory.precision(dtype)

    def keeps_intermediates(self) -> bool:
        return self.memory.keeps_intermediates()


class _Away(Place):
    def keep(self, tensor: Tensor) -> Tensor:
        return tensor.new_empty(1).expand(tensor.shape)

    def fetch(self, kept: Tensor) -> Tensor:
        return _empty(kept)


def _elsewhere(memory: Any, device: torch.device) -> Any:
    """The strategy with every `OnHost` in it made fit for tensors without memory."""
    if isinstance(memory, OnHost):
        inner = _elsewhere(memory.memory, device)
        return inner if device.type == "cpu" else _Elsewhere(inner)
    if not is_dataclass(memory) or isinstance(memory, type):
        return memory
    inner = {part.name: getattr(memory, part.name) for part in fields(memory) if part.init}
    changed = {name: _elsewhere(value, device) for name, value in inner.items() if isinstance(value, Memory)}
    return replace(memory, **changed) if changed else memory
