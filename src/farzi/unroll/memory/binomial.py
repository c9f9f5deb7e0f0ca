r"""Where to put a few checkpoints so that a run is reversed with the fewest recomputed steps.

Revolve (Griewank and Walther, "Algorithm 799: revolve", ACM TOMS 26(1), 2000). With s checkpoints and no step
advanced more than r times, a run of at most β(s, r) = C(s + r, s) steps can be reversed. For l steps, with r
the smallest number such that l ≤ β(s, r), the fewest steps advanced are t(l, s) = r l − β(s + 1, r − 1), the
first sweep through the run included. The first checkpoint lies before the first step.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import Tensor

from farzi.unroll.memory.tape import Place
from farzi.unroll.optimizers import State


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
class Ladder:
    """At most `slots` states of a run at binomial places, returned from the last to the first.

    `climb` plans where states are stored on the way up. `offer` receives every state on that way and stores
    the planned ones. `descend` returns the last one at or before a step.
    """

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
            self.rungs.append((index, self.place.keep(theta), self.place.keep_state(state)))

    def descend(self, index: int) -> tuple[int, Tensor, State]:
        """The last stored state at or before step `index`, and its step.

        A state before `index` stays stored, and the way up from it to `index` is planned. The state of
        `index` itself is dropped.
        """
        begin, theta, state = rung = self.rungs.pop()
        if begin < index:
            self.climb(begin, index + 1)
            self.planned.remove(begin)
            self.rungs.append(rung)
        return begin, self.place.fetch(theta), self.place.fetch_state(state)
