"""The last steps only."""

from dataclasses import dataclass, field

import torch

from farzi.unroll.memory.store import Store
from farzi.unroll.memory.tape import HERE, Cost, Memory, Place, Replay, Tape, Within
from farzi.unroll.update import Step


@dataclass(frozen=True)
class Window(Memory):
    """Differentiate the last K steps only: truncated back-propagation.

    The state before the window counts as constant, so theta0 gets no gradient where K is less than the number
    of steps run. The bias that this brings is small where the early steps matter little to the end, and the
    metagradient is far smoother (RaT-BPTT, arXiv 2310.02835, draws the end of the run at random as well).

    Attributes:
        last: K, the number of steps differentiated.
        memory: how these are kept.
    """

    last: int
    memory: Memory = field(default_factory=Store)

    def __post_init__(self) -> None:
        if self.last < 1:
            raise ValueError(f"Window(last={self.last}): at least one step must be differentiated")

    def tape(self, steps: int, replay: Replay, place: Place = HERE) -> Tape:
        begin = max(0, steps - self.last)
        return _Last(begin, self.memory.tape(steps - begin, replay.shifted(begin), place))

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        return self.memory.cost(min(steps, self.last), parameters, slots, intermediates)

    def precision(self, dtype: torch.dtype) -> torch.dtype:
        return self.memory.precision(dtype)

    def keeps_intermediates(self) -> bool:
        return self.memory.keeps_intermediates()


class _Last(Within):
    def __init__(self, begin: int, inner: Tape) -> None:
        self.begin, self.inner = begin, inner
        self.first = begin + inner.first

    def put(self, index: int, step: Step) -> None:
        if index >= self.begin:
            self.inner.put(index - self.begin, step)

    def pop(self, index: int) -> Step:
        return self.inner.pop(index - self.begin)
