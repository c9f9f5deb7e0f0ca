r"""Where a few checkpoints go, so that a run is unwound with the fewest steps made again.

Revolve (Griewank and Walther, "Algorithm 799: revolve", ACM TOMS 26(1), 2000). With s checkpoints and no step
advanced more than r times, a run of at most β(s, r) = C(s + r, s) steps can be unwound; for l steps, with r
the least such that l ≤ β(s, r), the least number of steps advanced is t(l, s) = r l − β(s + 1, r − 1), the
first sweep through the run included. The first checkpoint lies before the first step.
"""

import math
from collections.abc import Iterator


def reach(slots: int, sweeps: int) -> int:
    """β(s, r): the longest run that `slots` checkpoints unwind with no step advanced more than r times."""
    return math.comb(slots + sweeps, slots)


def sweeps(steps: int, slots: int) -> int:
    """r: how often the first step of a run is advanced, and no step more often."""
    if slots == 1:
        return max(0, steps - 1)
    count = 0
    while reach(slots, count) < steps:
        count += 1
    return count


def advances(steps: int, slots: int) -> int:
    """t(l, s): the least number of steps advanced to unwind a run of l = `steps` steps, at least one."""
    r = sweeps(steps, slots)
    return r * steps - reach(slots + 1, r - 1)


def split(steps: int, slots: int) -> int:
    """How many steps to advance from one of s ≥ 2 checkpoints to the next in a run of l ≥ 2 steps.

    Of the choices that lead to t(l, s), the largest.
    """
    r = sweeps(steps, slots)
    return min(reach(slots, r - 1), steps - reach(slots - 1, r - 1))


def placements(begin: int, end: int, slots: int) -> Iterator[int]:
    """Where to leave checkpoints when going forward from step `begin` to step `end` − 1, the next unwound.

    At most `slots` of them, the first before `begin`; none before the step that is unwound at once.
    """
    while slots > 0 and end - begin > 1:
        yield begin
        begin += split(end - begin, slots) if slots > 1 else 0
        slots -= 1
