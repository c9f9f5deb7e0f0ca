"""The clock of a training: it stops while the model is measured."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from farzi.data import Log
from farzi.evaluation import Ranker, evaluate_ranking

BATCH = 256
"""Users that are ranked at a time."""


@dataclass(frozen=True)
class Point:
    """A measurement: what the training had cost, and how good the model was.

    `events` are next events predicted in training, each time that one was.
    """

    events: int
    seconds: float
    cpu_seconds: float
    ndcg: float  # nDCG@10 on the validation events


class Watch:
    """What a training has cost so far, the measurements left out.

    Args:
        log: has the validation events; seen items are ranked as well.
        budget: seconds after which the training should end.
        cpu_time: whether these are seconds of CPU, for where others use the machine too.
        report: called with each measurement.
        clocks: seconds of time and of CPU.
    """

    def __init__(
        self,
        log: Log,
        budget: float,
        cpu_time: bool = False,
        report: Callable[[Point], None] = lambda point: None,
        clocks: tuple[Callable[[], float], Callable[[], float]] = (time.perf_counter, time.process_time),
    ) -> None:
        self.log, self.budget, self.cpu_time, self.report, self.clocks = log, budget, cpu_time, report, clocks
        self.events, self.points = 0, list[Point]()
        self.start()

    def start(self, seconds: float = 0, cpu_seconds: float = 0) -> None:
        """Start from these readings; from 0 after preparations that are not training."""
        self._zero = self.clocks[0]() - seconds, self.clocks[1]() - cpu_seconds

    @property
    def seconds(self) -> tuple[float, float]:
        """Seconds and CPU seconds so far."""
        return self.clocks[0]() - self._zero[0], self.clocks[1]() - self._zero[1]

    @property
    def over(self) -> bool:
        """Whether the budget is used up."""
        return self.seconds[self.cpu_time] >= self.budget

    def measure(self, ranker: Ranker) -> Point:
        """Rank the validation events; the time that takes does not count."""
        seconds = self.seconds
        ndcg = float(evaluate_ranking(ranker, self.log.valid, batch=BATCH)["nDCG@10"])
        point = Point(self.events, *seconds, ndcg)
        self.points.append(point)
        self.report(point)
        self.start(*seconds)
        return point
