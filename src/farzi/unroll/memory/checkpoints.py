r"""A few states of the run, from which the steps between are recomputed.

Where to put them so that the fewest steps are recomputed: Revolve (Griewank and Walther, "Algorithm 799:
revolve", ACM TOMS 26(1), 2000). With s checkpoints and no step advanced more than r times, a run of at most
β(s, r) = C(s + r, s) steps can be reversed. For l steps, with r the smallest number such that l ≤ β(s, r),
the fewest steps advanced are t(l, s) = r l − β(s + 1, r − 1), the first sweep through the run included. The
first checkpoint lies before the first step.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import Tensor

from farzi.unroll.memory.tape import HERE, Cost, Memory, Place, Replay, Store, Tape
from farzi.unroll.optimizers import State, Step


def reach(slots: int, sweeps: int) -> int:
    """β(s, r): the longest run that `slots` checkpoints reverse with no step advanced more than r times."""
    return math.comb(slots + sweeps, slots)


def sweeps(steps: int, slots: int) -> int:
    """r: how often the first step of a run is advanced; no step is advanced more often."""
    if slots == 1:
        return max(0, steps - 1)
    count = 0
    while reach(slots, count) < steps:
        count += 1
    return count


def advances(steps: int, slots: int) -> int:
    """t(l, s): the fewest steps advanced to reverse a run of l = `steps` steps, at least one."""
    r = sweeps(steps, slots)
    return r * steps - reach(slots + 1, r - 1)


def split(steps: int, slots: int) -> int:
    """How many steps to advance from one of s ≥ 2 checkpoints to the next in a run of l ≥ 2 steps.

    The largest of the choices that lead to t(l, s).
    """
    r = sweeps(steps, slots)
    return min(reach(slots, r - 1), steps - reach(slots - 1, r - 1))


def placements(begin: int, end: int, slots: int) -> Iterator[int]:
    """Where to store checkpoints on the way from step `begin` to step `end` − 1, which is reversed next.

    At most `slots` of them, the first before `begin`; none before the step that is reversed next.
    """
    while slots > 0 and end - begin > 1:
        yield begin
        begin += split(end - begin, slots) if slots > 1 else 0
        slots -= 1


@dataclass
class _Ladder:
    """At most `slots` states of a run at binomial places, returned from the last to the first."""

    slots: int
    place: Place
    rungs: list[tuple[int, Tensor, State]] = field(default_factory=list)
    planned: set[int] = field(default_factory=set)

    def climb(self, begin: int, end: int) -> None:
        """Plan for advancing from step `begin` to step `end` − 1, which is reversed next."""
        self.planned = set(placements(begin, end, self.slots - len(self.rungs)))

    def offer(self, index: int, theta: Tensor, state: State) -> None:
        """Store the state before step `index` if it is planned."""
        if index in self.planned:
            self.rungs.append((index, self.place.keep(theta), state.map(self.place.keep)))

    def descend(self, index: int) -> tuple[int, Tensor, State]:
        """The last stored state at or before step `index`, and its step; dropped if it is that of `index`."""
        begin, theta, state = rung = self.rungs.pop()
        if begin < index:
            self.climb(begin, index + 1)
            self.planned.remove(begin)
            self.rungs.append(rung)
        return begin, self.place.fetch(theta), state.map(self.place.fetch)


@dataclass(frozen=True)
class StoreGradients(Memory):
    """Store every step's gradient, P floats per step, and recompute the states from a few of them.

    A state follows from an earlier one by the optimizer's updates alone, which are elementwise; the model is
    not called. The few states are placed binomially, so that as few updates as possible are recomputed. This
    is the fastest strategy where `Store` does not fit. For Adam it takes little more than a quarter of the
    memory; with 4 states and T = 100 it recomputes 2.8 updates per step.

    Attributes:
        slots: the number of states stored, besides the last.
    """

    slots: int = 4

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ValueError(f"StoreGradients(slots={self.slots}): at least one state must be kept")

    def tape(self, steps: int, replay: Replay, place: Place = HERE) -> Tape:
        return _Gradients(steps, replay, place, _Ladder(self.slots, place))

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        if steps == 0:
            return Cost()
        states = min(self.slots, steps - 1) + 1  # and the last
        return Cost(
            device=(steps + states * (1 + slots)) * parameters,
            updates=advances(steps, self.slots) - (steps - 1),
            bare=steps if intermediates else 0,
        )


@dataclass
class _Gradients(Tape):
    steps: int
    replay: Replay
    place: Place
    states: _Ladder
    gradients: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.states.climb(0, self.steps)
        self.states.planned.add(self.steps - 1)  # reversed first, so it needs a slot only briefly

    def put(self, index: int, step: Step) -> None:
        self.gradients.append(self.place.keep(step.gradient))
        self.states.offer(index, step.theta, step.state)

    def pop(self, index: int) -> Step:
        begin, theta, state = self.states.descend(index)
        for earlier in range(begin, index):
            self.states.offer(earlier, theta, state)
            gradient = self.place.fetch(self.gradients[earlier])
            theta, state = self.replay.update(gradient, state, theta)
        return Step(theta, state, self.place.fetch(self.gradients.pop()))


@dataclass(frozen=True)
class Checkpoints(Memory):
    """Store the state at a few places of the run, and recompute the steps between, gradients included.

    Memory does not grow with T. The places are binomial: no other choice of s places recomputes fewer steps.
    For T = 100 that is 374 steps with 4 slots and 222 with 10.

    With `every` the run is cut into pieces of that many steps, counted from the end. Checkpoints lie between
    pieces only, and another strategy stores the steps of the piece that is being reversed. For T = 100 and
    Adam, `Checkpoints(3, every=10, within=StoreGradients(slots=1))` takes as much as `Checkpoints(slots=7)`,
    25 P floats, and recomputes 150 steps instead of 255.

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
        self.states = _Ladder(memory.slots, place)
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
