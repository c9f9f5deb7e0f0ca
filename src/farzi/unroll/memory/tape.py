"""What every memory strategy is made of: a tape to write and unwind, a replay, a place, a cost."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from farzi.unroll.optimizers import Optimizer, State
from farzi.unroll.update import PullBack, Step


@dataclass(frozen=True)
class Cost:
    """What a strategy takes for one run, forward and back.

    The T gradients of the forward run, the T reverse steps, and the one step that is being made, undone or
    handed back come on top, whatever the strategy; so does, for each step whose loss draws random numbers,
    the generators' state (5 kB on the host). Floats are of the dtype in which the run keeps its parameters.

    Attributes:
        device: floats that the tape holds at most where the run is, at any time.
        host: floats that it holds at most in host memory.
        gradients: gradients of the loss evaluated again; a model call each.
        updates: updates of the optimizer made again, or undone; elementwise.
        bare: reverse steps whose intermediates, if there are any, were not kept.
    """

    device: int = 0
    host: int = 0
    gradients: int = 0
    updates: int = 0
    bare: int = 0


@dataclass(frozen=True)
class Replay:
    """What makes a step of the run again.

    Attributes:
        optimizer: the optimizer, as the caller gave it.
        forward: forward(index, theta), the gradient (P,) of step `index`'s loss at theta, (P,), with the
            random draws of the forward run, and the intermediates worth keeping.
        update: update(gradient, state, theta), the parameters and the state after a step; detached.
        device: where the run is.
    """

    optimizer: Optimizer
    forward: Callable[[int, Tensor], tuple[Tensor, tuple[Tensor, ...]]]
    update: Callable[[Tensor, State, Tensor], tuple[Tensor, State]]
    device: torch.device

    def shifted(self, begin: int) -> "Replay":
        """The replay of the part of the run that begins at step `begin`, which it calls step 0."""
        whole = self.forward
        return replace(self, forward=lambda index, theta: whole(begin + index, theta))


class Place:
    """Where a tape keeps its tensors: this one leaves them where they are."""

    def keep(self, tensor: Tensor) -> Tensor:
        """The tensor as it is kept."""
        return tensor

    def fetch(self, kept: Tensor) -> Tensor:
        """A kept tensor, where the run can use it."""
        return kept

    def keep_state(self, state: State) -> State:
        """An optimizer's state as it is kept."""
        return State(state.step, tuple(self.keep(slot) for slot in state.slots))

    def fetch_state(self, kept: State) -> State:
        """A kept state, where the run can use it."""
        return State(kept.step, tuple(self.fetch(slot) for slot in kept.slots))

    def keep_step(self, step: Step) -> Step:
        """All of a step as it is kept."""
        return Step(
            self.keep(step.theta),
            self.keep_state(step.state),
            self.keep(step.gradient),
            tuple(self.keep(part) for part in step.intermediates),
        )

    def fetch_step(self, kept: Step) -> Step:
        """A kept step, where the run can use it."""
        return Step(
            self.fetch(kept.theta),
            self.fetch_state(kept.state),
            self.fetch(kept.gradient),
            tuple(self.fetch(part) for part in kept.intermediates),
        )


HERE = Place()
"""Where the run is."""


class Tape(ABC):
    """The record of one forward run: written from the first step to the last, unwound from the last down.

    Attributes:
        first: the first step that is differentiated; the steps before it count as constant.
    """

    first: int = 0

    @property
    def pull_back(self) -> PullBack | None:
        """What takes the exact update's place on the way back; None where nothing does."""
        return None

    @abstractmethod
    def put(self, index: int, step: Step) -> None:
        """Record step `index`; called for every step of the run in order."""

    @abstractmethod
    def pop(self, index: int) -> Step:
        """Give step `index` back and let go of it; called from the last step down to `first`."""


class Within(Tape):
    """A tape that leaves steps, and how cotangents go through them, to another tape.

    Attributes:
        inner: the other tape.
    """

    inner: Tape

    @property
    def pull_back(self) -> PullBack | None:
        return self.inner.pull_back


class Memory(ABC):
    """A strategy: how the steps of a run are kept, or made again, for the reverse pass."""

    @abstractmethod
    def tape(self, steps: int, replay: Replay, place: Place = HERE) -> Tape:
        """An empty tape.

        Args:
            steps: T, the number of steps of the run.
            replay: what makes a step again.
            place: where the tape keeps its tensors.
        """

    @abstractmethod
    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        """What a run costs, exactly.

        Args:
            steps: T.
            parameters: P.
            slots: number of the optimizer's slots, each (P,).
            intermediates: floats of a step that the execution finds worth keeping.
        """

    def precision(self, dtype: torch.dtype) -> torch.dtype:
        """The dtype in which the run keeps parameters and state; `dtype` is that of theta0."""
        return dtype

    def keeps_intermediates(self) -> bool:
        """Whether the steps that are put on its tapes should hold their intermediates."""
        return False
