"""A few states of the run, from which the steps between are recomputed."""

import math
from dataclasses import dataclass, field

from farzi.unroll.memory.binomial import Ladder, advances, sweeps
from farzi.unroll.memory.tape import HERE, Cost, Memory, Place, Replay, Store, Tape
from farzi.unroll.update import Step


@dataclass(frozen=True)
class Checkpoints(Memory):
    """Store the state at a few places of the run, and recompute the steps between, gradients included.

    Memory does not grow with T. The places are binomial (`farzi.unroll.memory.binomial`): no other choice of
    s places recomputes fewer steps. For T = 100 that is 374 steps with 4 slots and 222 with 10.

    With `every` the run is cut into pieces of that many steps, counted from the end. Checkpoints lie between
    pieces only, and another strategy stores the steps of the piece that is being reversed. Memory is then
    shared between the states of other pieces and the gradients of the current one, which are smaller. For
    T = 100 and Adam, `Checkpoints(3, every=10, within=StoreGradients(slots=1))` takes as much as
    `Checkpoints(slots=7)`, 25 P floats, and recomputes 150 steps instead of 255.

    Attributes:
        slots: s, the most states stored.
        every: length of a piece; the first may be shorter.
        within: how the steps of a piece are stored.
    """

    slots: int
    every: int = 1
    within: Memory = field(default_factory=Store)

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ValueError(f"Checkpoints(slots={self.slots}): at least one state must be kept")
        if self.every < 1:
            raise ValueError(f"Checkpoints(every={self.every}): a piece has at least one step")

    def tape(self, steps: int, replay: Replay, place: Place = HERE) -> Tape:
        return _Pieces(self, steps, replay, place)

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        if steps == 0:
            return Cost()
        pieces = self.pieces(steps)
        earlier = pieces - 1  # pieces that are recomputed
        whole, first = min(steps, self.every), steps - earlier * self.every
        # every sweep begins with the first piece, which may be shorter
        shorter = (whole - first) * sweeps(pieces, self.slots)
        advanced = whole * advances(pieces, self.slots) - shorter
        inner = self.within.cost(whole, parameters, slots, intermediates)
        inner_first = self.within.cost(first, parameters, slots, intermediates)
        return Cost(
            device=min(self.slots, earlier) * (1 + slots) * parameters + inner.device,
            host=inner.host,
            gradients=advanced + earlier * inner.gradients + inner_first.gradients,
            updates=advanced - earlier + earlier * inner.updates + inner_first.updates,
            bare=earlier * inner.bare + inner_first.bare,
        )

    def keeps_intermediates(self) -> bool:
        return self.within.keeps_intermediates()

    def pieces(self, steps: int) -> int:
        """How many pieces a run of `steps` steps has."""
        return -(-steps // self.every)


@dataclass(frozen=True)
class SquareRoot(Memory):
    """A checkpoint every ⌈√T⌉ steps: memory grows with √T, and each step is recomputed once at most.

    Chen, Xu, Zhang and Guestrin, "Training deep nets with sublinear memory cost", arXiv 1604.06174.

    Attributes:
        within: how the steps from one checkpoint to the next are stored while they are reversed.
    """

    within: Memory = field(default_factory=Store)

    def tape(self, steps: int, replay: Replay, place: Place = HERE) -> Tape:
        return self.checkpoints(steps).tape(steps, replay, place)

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        return self.checkpoints(steps).cost(steps, parameters, slots, intermediates)

    def keeps_intermediates(self) -> bool:
        return self.within.keeps_intermediates()

    def checkpoints(self, steps: int) -> Checkpoints:
        """The same strategy for a run of `steps` steps."""
        every = max(1, math.isqrt(max(0, steps - 1)) + 1)
        return Checkpoints(slots=every, every=every, within=self.within)


class _Pieces(Tape):
    """Pieces numbered from the first, and the tape of one of them at a time."""

    def __init__(self, memory: Checkpoints, steps: int, replay: Replay, place: Place) -> None:
        self.memory, self.replay, self.place = memory, replay, place
        pieces = memory.pieces(steps)
        self.lacking = pieces * memory.every - steps  # steps by which the first piece is shorter
        self.states = Ladder(memory.slots, place)
        self.states.climb(0, pieces)
        self._open(max(0, pieces - 1), steps)

    def put(self, index: int, step: Step) -> None:
        if index >= self.begin:
            self.inner.put(index - self.begin, step)
        elif index == self._begin(piece := self._piece(index)):
            self.states.offer(piece, step.theta, step.state)

    def pop(self, index: int) -> Step:
        if index < self.begin:
            self._recompute(self._piece(index), index + 1)
        return self.inner.pop(index - self.begin)

    def _recompute(self, piece: int, end: int) -> None:
        """Fill a tape with the steps of a piece, which end at step `end` − 1."""
        nearest, theta, state = self.states.descend(piece)
        self._open(piece, end)
        for index in range(self._begin(nearest), end):
            gradient, intermediates = self.replay.forward(index, theta)
            self.put(index, Step(theta, state, gradient, intermediates))
            del intermediates
            if index < end - 1:
                theta, state = self.replay.update(gradient, state, theta)

    def _open(self, piece: int, end: int) -> None:
        self.begin = self._begin(piece)
        self.inner = self.memory.within.tape(end - self.begin, self.replay.shifted(self.begin), self.place)
        if self.inner.first > 0:
            raise ValueError(f"{self.memory}: all steps of a piece are needed, not a window of them")

    def _piece(self, index: int) -> int:
        return (index + self.lacking) // self.memory.every

    def _begin(self, piece: int) -> int:
        return max(0, piece * self.memory.every - self.lacking)
