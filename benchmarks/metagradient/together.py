"""All contestants in one process, in turns: ratios on a machine whose speed changes from minute to minute."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.metagradient.contestants import make
from benchmarks.metagradient.problem import Problem


@dataclass(frozen=True)
class Side:
    """A contestant's figures.

    Attributes:
        contestant: its name.
        seconds: of a run, one a round.
        ratios: to the fastest plain training of the same round.
    """

    contestant: str
    seconds: list[float]
    ratios: list[float]


def side_by_side(contestants: Sequence[str], problem: Problem, rounds: int) -> list[Side]:
    """Run each once to compile and to warm up, then all of them in turn, `rounds` times."""
    made = {name: make(name) for name in contestants}
    for one in made.values():
        one.prepare(problem)
        one.run()
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, one in made.items():
            begin = time.perf_counter()
            one.run()
            taken[name].append(time.perf_counter() - begin)
    plain = [seconds for name, seconds in taken.items() if name.startswith("training")]
    floors = [min(turn) for turn in zip(*plain, strict=True)] if plain else []
    return [
        Side(name, seconds, [one / floor for one, floor in zip(seconds, floors, strict=False)])
        for name, seconds in taken.items()
    ]


def table(sides: Sequence[Side], steps: int) -> str:
    """As Markdown: medians, and the range of the ratios."""
    lines = ["| | ms a step | x training |", "|---|---:|---:|"]
    for side in sides:
        ratio = ""
        if side.ratios:
            low, high = min(side.ratios), max(side.ratios)
            ratio = f"{statistics.median(side.ratios):.2f} ({low:.2f} to {high:.2f})"
        lines.append(
            f"| `{side.contestant}` | {1e3 * statistics.median(side.seconds) / steps:.0f} | {ratio} |"
        )
    return "\n".join(lines)
