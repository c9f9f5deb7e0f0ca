"""Every step as it was."""

from dataclasses import dataclass, field

from farzi.unroll.memory.tape import HERE, Cost, Memory, Place, Replay, Tape
from farzi.unroll.update import Step


@dataclass(frozen=True)
class Store(Memory):
    """Keep every step whole: (2 + slots) P floats and its intermediates, nothing made again.

    The fastest strategy wherever it fits.

    Attributes:
        intermediates: whether what a gradient made on its way is kept for the reverse step. `Compiled` finds
            some worth it: those that take much to make for their size. `Eager` has none.
    """

    intermediates: bool = True

    def tape(self, steps: int, replay: Replay, place: Place = HERE) -> Tape:
        return _Steps(place)

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        kept = intermediates if self.intermediates else 0
        bare = steps if intermediates and not kept else 0
        return Cost(device=steps * ((2 + slots) * parameters + kept), bare=bare)

    def keeps_intermediates(self) -> bool:
        return self.intermediates


@dataclass
class _Steps(Tape):
    place: Place
    steps: list[Step] = field(default_factory=list)

    def put(self, index: int, step: Step) -> None:
        self.steps.append(self.place.keep_step(step))

    def pop(self, index: int) -> Step:
        return self.place.fetch_step(self.steps.pop())
