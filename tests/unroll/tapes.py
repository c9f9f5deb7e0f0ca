"""Runs of a toy optimizer without a model, and strategies that are watched at work."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from farzi.unroll import Cost, Memory, Optimizer, Place, Replay, State, Step, Tape
from farzi.unroll.execution import Intermediates


class Shelf(Place):
    """Copies what it keeps, and knows how many floats it holds, now and at most."""

    def __init__(self) -> None:
        self.held = self.most = 0

    def keep(self, tensor: Tensor) -> Tensor:
        kept = tensor.clone()
        self.held += kept.numel()
        self.most = max(self.most, self.held)
        weakref.finalize(kept, self._let_go, kept.numel())
        return kept

    def fetch(self, kept: Tensor) -> Tensor:
        return kept.clone()

    def _let_go(self, floats: int) -> None:
        self.held -= floats


class Watched(Memory):
    """A strategy whose tape is watched: what it holds, and what it makes again."""

    def __init__(self, memory: Memory) -> None:
        self.memory, self.shelf = memory, Shelf()
        self.gradients: list[int] = []
        self.updates: list[int] = []

    def tape(self, steps: int, replay: Replay, place: Place | None = None) -> Tape:
        def forward(index: int, theta: Tensor) -> tuple[Tensor, Intermediates]:
            self.gradients.append(index)
            return replay.forward(index, theta)

        def update(gradient: Tensor, state: State, theta: Tensor) -> tuple[Tensor, State]:
            self.updates.append(state.step)
            return replay.update(gradient, state, theta)

        return self.memory.tape(steps, replace(replay, forward=forward, update=update), self.shelf)

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        return self.memory.cost(steps, parameters, slots, intermediates)

    def keeps_intermediates(self) -> bool:
        return self.memory.keeps_intermediates()


@dataclass(frozen=True)
class Toy(Optimizer):
    """An optimizer of so many slots; its numbers mean nothing, but differ at each step."""

    count: int

    @property
    def slots(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.count

    def update(self, gradient: Tensor, state: State, theta: Tensor) -> tuple[Tensor, State]:
        slots = tuple(0.5 * slot + gradient * (n + 1) for n, slot in enumerate(state.slots))
        return theta - 0.1 * sum(slots, gradient) / (state.step + 1), State(state.step + 1, slots)


def toy_run(
    memory: Memory,
    steps: int,
    slots: int,
    parameters: int = 2,
    intermediates: int = 0,
    popped: Callable[[int], None] = lambda _: None,
) -> tuple[list[Step], list[Step]]:
    """The steps of a run, and those that the strategy gives back, both from the first that it gives back on.

    Each step has so many floats of intermediates. `popped` is called with the index of each step after it was
    given back.
    """
    optimizer, keeps = Toy(slots), intermediates > 0 and memory.keeps_intermediates()

    def forward(index: int, theta: Tensor) -> tuple[Tensor, Intermediates]:
        kept = (torch.full((intermediates,), float(index)),) if keeps else ()
        return (theta + index).sin() + 0.01 * index, kept

    theta = torch.linspace(0.0, 1.0, parameters)
    state = optimizer.init(theta)
    tape = memory.tape(steps, Replay(optimizer, forward, optimizer.update, torch.device("cpu")))
    made, given = [], []
    for index in range(steps):
        made.append(Step(theta, state, *forward(index, theta)))
        tape.put(index, made[-1])
        theta, state = optimizer.update(made[-1].gradient, state, theta)
    for index in reversed(range(tape.first, steps)):
        given.insert(0, tape.pop(index))
        popped(index)
    return made[tape.first :], given


def same_step(a: Step, b: Step) -> bool:
    """Bit for bit."""
    parts = [(step.theta, step.gradient, *step.state.slots, *step.intermediates) for step in (a, b)]
    pairs = zip(*parts, strict=True)
    return a.state.step == b.state.step and all(torch.equal(x, y) for x, y in pairs)
