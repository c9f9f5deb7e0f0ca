"""States kept at few places of a run, from which the others are made again."""

from dataclasses import dataclass, field

from torch import Tensor

from farzi.unroll.memory.binomial import placements
from farzi.unroll.memory.tape import Place
from farzi.unroll.optimizers import State


@dataclass
class Ladder:
    """At most `slots` states of a run, binomially placed, given back from the last to the first.

    `climb` plans where states are left on the way up, `offer` is told every state on that way and keeps the
    planned ones, `descend` gives the last one that lies at or before a step.

    Attributes:
        slots: how many states are kept at most.
        place: where they are kept.
    """

    slots: int
    place: Place
    rungs: list[tuple[int, Tensor, State]] = field(default_factory=list)
    planned: set[int] = field(default_factory=set)

    def climb(self, begin: int, end: int) -> None:
        """Plan for going forward from step `begin` to step `end` − 1, the next to be unwound."""
        self.planned = set(placements(begin, end, self.slots - len(self.rungs)))

    def offer(self, index: int, theta: Tensor, state: State) -> None:
        """Keep the state before step `index` if it is planned."""
        if index in self.planned:
            self.rungs.append((index, self.place.keep(theta), self.place.keep_state(state)))

    def descend(self, index: int) -> tuple[int, Tensor, State]:
        """The last state kept at or before step `index`, and its step.

        Where it lies before `index` it stays kept, and the way up from there to `index` is planned; where it
        is the one asked for, it is let go.
        """
        begin, theta, state = rung = self.rungs.pop()
        if begin < index:
            self.climb(begin, index + 1)
            self.planned.remove(begin)
            self.rungs.append(rung)
        return begin, self.place.fetch(theta), self.place.fetch_state(state)
