"""The binomial schedule: as few steps made again as the published formula says, and as there can be."""

import functools
import math

import pytest

from farzi.unroll.memory.checkpoints import advances, placements, reach, split, sweeps


@functools.cache
def fewest(steps: int, slots: int) -> int:
    """t(l, s) by trying every place of the second checkpoint."""
    if steps <= 1:
        return 0
    if slots == 1:
        return steps * (steps - 1) // 2
    return min(far + fewest(steps - far, slots - 1) + fewest(far, slots) for far in range(1, steps))


def walked(steps: int, slots: int) -> list[int]:
    """How often each step is advanced when a run is unwound by `placements`."""
    counts = [0] * steps
    kept: list[int] = []

    def walk(begin: int, end: int, free: int) -> None:
        kept.extend(placements(begin, end, free))
        assert len(kept) <= slots
        for index in range(begin, end - 1):
            counts[index] += 1

    walk(0, steps, slots)
    for index in reversed(range(steps - 1)):
        begin = kept.pop()
        if begin < index:
            walk(begin, index + 1, slots - len(kept))
    return counts


@pytest.mark.parametrize("slots", range(1, 11))
def test_the_closed_form_is_the_least_there_is(slots: int) -> None:
    for steps in range(1, 61):
        assert advances(steps, slots) == fewest(steps, slots)


@pytest.mark.parametrize("slots", [1, 2, 3, 4, 7, 10])
def test_the_schedule_takes_what_the_closed_form_says(slots: int) -> None:
    for steps in [*range(1, 61), 100]:
        counts = walked(steps, slots)
        assert sum(counts) == advances(steps, slots)
        assert max(counts) == counts[0] == sweeps(steps, slots)


def test_figures_of_the_paper() -> None:
    """β(s, r) = C(s + r, s), and t = s r / (s + 1) β(s, r) where l = β(s, r)."""
    assert [reach(3, r) for r in range(5)] == [1, 4, 10, 20, 35]
    assert all(reach(s, r) == reach(r, s) for s in range(8) for r in range(8))
    for slots in range(1, 8):
        for r in range(1, 8):
            length = reach(slots, r)
            assert advances(length, slots) == r * length * slots // (slots + 1)
    assert advances(10, 3) == 15
    assert advances(100, 4) == 374
    assert advances(1000, 10) == 4 * 1000 - math.comb(14, 3)


def test_one_checkpoint_starts_from_the_beginning_every_time() -> None:
    assert advances(1000, 1) == math.comb(1000, 2)


def test_the_way_to_the_next_checkpoint_is_among_the_best() -> None:
    for slots in range(2, 7):
        for steps in range(2, 41):
            costs = {
                far: far + fewest(steps - far, slots - 1) + fewest(far, slots) for far in range(1, steps)
            }
            best = [far for far, cost in costs.items() if cost == min(costs.values())]
            assert split(steps, slots) == max(best)
