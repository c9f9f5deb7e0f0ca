"""What every memory strategy is made of (a tape, a replay, a place, a cost), and the simplest: `Store`.

A strategy of your own is a class that derives from `Memory`: `tape` returns a `Tape`, which receives each
step of the forward run and gives the steps back from the last to the first; `cost` says what that takes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from farzi.unroll.optimizers import Optimizer, State, Step


@dataclass(frozen=True)
class Cost:
    """What a strategy takes for one run, forward and back.

    Not included, since they are the same for every strategy: the T gradients of the forward run, the T
    reverse steps, the one step that is being computed or handed over, and, for each step whose loss draws
    random numbers, the generators' state (5 kB on the host). Floats are of the dtype of the run's parameters.
    """

    device: int = 0  # most floats that the tape holds at any time on the run's device
    host: int = 0  # most floats that it holds in host memory
    gradients: int = 0  # gradients of the loss that are recomputed; one model call each
    updates: int = 0  # updates of the optimizer that are recomputed or undone; elementwise
    bare: int = 0  # reverse steps whose intermediates, if there are any, were not stored


@dataclass(frozen=True)
class Replay:
    """Recomputes a step of the run."""

    optimizer: Optimizer  # the caller's optimizer
    # forward(index, theta) -> (gradient, intermediates): the gradient (P,) of step `index`'s loss at theta,
    # (P,), with the random draws of the forward run, and the intermediates worth storing
    forward: Callable[[int, Tensor], tuple[Tensor, tuple[Tensor, ...]]]
    # update(gradient, state, theta) -> (theta, state): the parameters and the state after a step, detached
    update: Callable[[Tensor, State, Tensor], tuple[Tensor, State]]
    device: torch.device  # the run's device

    def shifted(self, begin: int) -> "Replay":
        """The replay of the part of the run from step `begin` on, with that step as step 0."""
        whole = self.forward
        return replace(self, forward=lambda index, theta: whole(begin + index, theta))


class Place(ABC):
    """Where a tape stores its tensors."""

    @abstractmethod
    def keep(self, tensor: Tensor) -> Tensor:
        """The stored form of a tensor."""

    @abstractmethod
    def fetch(self, kept: Tensor) -> Tensor:
        """A stored tensor on the run's device."""


class _Here(Place):
    def keep(self, tensor: Tensor) -> Tensor:
        return tensor

    def fetch(self, kept: Tensor) -> Tensor:
        return kept


HERE = _Here()
"""On the run's device: tensors stay where they are."""


class Tape(ABC):
    """The record of one forward run: written from the first step to the last, read from the last step down.

    Attributes:
        first: the first step that is differentiated; the steps before it count as constant.
    """

    first: int = 0

    @abstractmethod
    def put(self, index: int, step: Step) -> None:
        """Record step `index`; called for every step of the run in order."""

    @abstractmethod
    def pop(self, index: int) -> Step:
        """Return step `index` and drop it; called from the last step down to `first`."""


class Memory(ABC):
    """A strategy: how the steps of a run are stored or recomputed for the reverse pass."""

    @abstractmethod
    def tape(self, steps: int, replay: Replay, place: Place = HERE) -> Tape:
        """An empty tape.

        Args:
            steps: T, the number of steps of the run.
            replay: recomputes a step.
            place: where the tape stores its tensors.
        """

    @abstractmethod
    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        """What a run costs, exactly.

        Args:
            steps: T.
            parameters: P.
            slots: number of the optimizer's slots, each (P,).
            intermediates: floats of a step's intermediates.
        """

    def keeps_intermediates(self) -> bool:
        """Whether steps put on its tapes should hold their intermediates; as a strategy inside it says."""
        return any(part.keeps_intermediates() for part in vars(self).values() if isinstance(part, Memory))

    def exact(self) -> bool:
        """Whether the steps that its tapes recompute have the run's parameters; as one inside it says."""
        return all(part.exact() for part in vars(self).values() if isinstance(part, Memory))


@dataclass(frozen=True)
class Store(Memory):
    """Store every step whole: (2 + slots) P floats and its intermediates. Nothing is recomputed.

    The fastest strategy wherever it fits.

    Attributes:
        intermediates: whether intermediates of the gradient are stored for the reverse step. `Compiled` has
            some that are worth it, those that take long to compute for their size. `Eager` has none.
    """

    intermediates: bool = True

    def tape(self, steps: int, replay: Replay, place: Place = HERE) -> Tape:
        return _Steps(place)

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        stored = intermediates if self.intermediates else 0
        bare = steps if intermediates and not stored else 0
        return Cost(device=steps * ((2 + slots) * parameters + stored), bare=bare)

    def keeps_intermediates(self) -> bool:
        return self.intermediates


@dataclass
class _Steps(Tape):
    place: Place
    steps: list[Step] = field(default_factory=list)

    def put(self, index: int, step: Step) -> None:
        self.steps.append(step.map(self.place.keep))

    def pop(self, index: int) -> Step:
        return self.steps.pop().map(self.place.fetch)
