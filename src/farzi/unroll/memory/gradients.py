"""Every step's gradient, from which the states follow without the loss."""

from dataclasses import dataclass, field

from torch import Tensor

from farzi.unroll.memory.binomial import Ladder, advances
from farzi.unroll.memory.tape import HERE, Cost, Memory, Place, Replay, Tape
from farzi.unroll.update import Step


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
        return _Gradients(steps, replay, place, Ladder(self.slots, place))

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
    states: Ladder
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
