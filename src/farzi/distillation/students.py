"""Students in training on the summary: whose turn it is at an outer step, and where it stands."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from farzi.data import Sequences, crops
from farzi.distillation.loop import InnerLoop
from farzi.distillation.runs import Point, Runs
from farzi.distillation.together import Group
from farzi.distillation.weights import Theta
from farzi.summary import Summary


class Line(NamedTuple):
    """The inner runs of one kind of student.

    Attributes:
        group: those that a step differentiates.
        runs: where their windows begin.
    """

    group: Group
    runs: Runs


class Drawn(NamedTuple):
    """What an outer step draws.

    Attributes:
        line: whose turn it is.
        left: the student in training that is taken.
        windows: real events, (batch, length), that it is held against.
    """

    line: Line
    left: Point
    windows: Tensor


class Students:
    """All students in training, and the real events.

    Args:
        lines: of the students that the summary is for; each outer step draws one of them.
        log: real training sequences.
        batch: of them at a step.
        seed: of all draws.
    """

    def __init__(self, lines: Sequence[Line], log: Sequences, batch: int, seed: int) -> None:
        self.lines = lines
        self._log, self._batch, self._seed = log, batch, seed

    def draw(self, step: int, summary: Summary, loop: InnerLoop) -> Drawn:
        """What an outer step draws; the same however often it is called before that step."""
        rng = np.random.default_rng([self._seed, 1, step])
        line = self.lines[int(rng.integers(len(self.lines))) if len(self.lines) > 1 else 0]

        def advance(theta: Theta, steps: int) -> Point:
            return loop.begin(summary, line.group.inner, theta, step, loop.window_of(step).running, steps)

        left = line.runs.take(advance, rng)
        student = line.group.loss.student
        windows = crops(self._log, student.length + 1, self._batch, rng)
        return Drawn(line, left, torch.from_numpy(windows).to(student.device))

    def tensors(self) -> dict[str, Tensor]:
        """All that must be kept to go on later, in an order that `restore` needs kept."""
        return {
            f"{place}/{name}": value
            for place, line in self._places().items()
            for name, value in line.runs.tensors().items()
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from `tensors()`, among which there may be others."""
        for place, line in self._places().items():
            start = f"{place}/"
            line.runs.restore(
                {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
            )

    def _places(self) -> dict[str, Line]:
        """The lines by what their tensors' names begin with."""
        return {"runs" if k == 0 else f"runs{k}": line for k, line in enumerate(self.lines)}
