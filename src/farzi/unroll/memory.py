"""What is kept of the forward run for the reverse one: strategies as values.

A strategy makes a `Tape` for a run of T steps. The forward run offers it each step's state and gradient; the
reverse run asks for them from the last step down. A step's activations are never kept: the reverse step makes
them again, so that memory grows with T by optimizer state only.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from torch import Tensor

from farzi.unroll.optimizers import State


class Step(NamedTuple):
    """All that the reverse step needs of one forward step.

    Attributes:
        theta: parameters before the step, (P,).
        state: optimizer state before the step.
        gradient: the loss's gradient at `theta`, (P,).
    """

    theta: Tensor
    state: State
    gradient: Tensor


class Tape(Protocol):
    """The record of one forward run."""

    first: int
    """The first step that is differentiated; the steps before it count as constant."""

    def put(self, index: int, step: Step) -> None:
        """Record step `index`."""
        ...

    def pop(self, index: int) -> Step:
        """Give step `index` back and let go of it; called from the last step down to `first`."""
        ...


class Memory(Protocol):
    """A strategy: how the states of a run are kept or made again."""

    def tape(self, steps: int) -> Tape:
        """An empty tape for a run of `steps` steps."""
        ...

    def floats(self, steps: int, parameters: int, slots: int) -> int:
        """Number of floats that the tape of a run of `steps` steps holds at most.

        Args:
            steps: T.
            parameters: P.
            slots: number of the optimizer's slots, each (P,).
        """
        ...


@dataclass
class _Kept:
    first: int = 0
    steps: dict[int, Step] = field(default_factory=dict)

    def put(self, index: int, step: Step) -> None:
        if index >= self.first:
            self.steps[index] = step

    def pop(self, index: int) -> Step:
        return self.steps.pop(index)


@dataclass(frozen=True)
class Store:
    """Keep every step's parameters, slots and gradient: (2 + slots) P floats a step, no recomputation.

    The fastest strategy wherever it fits.
    """

    def tape(self, steps: int) -> Tape:
        return _Kept()

    def floats(self, steps: int, parameters: int, slots: int) -> int:
        return steps * (2 + slots) * parameters


@dataclass(frozen=True)
class Window:
    """Differentiate the last K steps only: truncated back-propagation.

    The state before the window counts as constant, so theta0 gets no gradient where K is less than the number
    of steps run. The bias that this brings is small where the early steps matter little to the end, and the
    metagradient is far smoother (RaT-BPTT, arXiv 2310.02835, draws the end of the run at random as well).

    Attributes:
        last: K, the number of steps differentiated.
    """

    last: int

    def __post_init__(self) -> None:
        if self.last < 1:
            raise ValueError(f"Window(last={self.last}): at least one step must be differentiated")

    def tape(self, steps: int) -> Tape:
        return _Kept(first=max(0, steps - self.last))

    def floats(self, steps: int, parameters: int, slots: int) -> int:
        return Store().floats(min(steps, self.last), parameters, slots)
