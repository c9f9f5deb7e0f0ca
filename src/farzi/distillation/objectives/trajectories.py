"""Trajectory matching: steps on the summary must lead where training on real events led (MTT).

Cazenavette et al., "Dataset Distillation by Matching Training Trajectories" (arXiv 2203.11932).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from farzi.distillation.loop import InnerLoop
from farzi.distillation.objectives.objective import Episode
from farzi.distillation.together import Group
from farzi.distillation.weights import Theta
from farzi.summary import Summary


@dataclass(frozen=True, eq=False)
class TrajectoryDistance:
    """How far students are from where their full-data trainings went.

    Attributes:
        group: of the students.
        begins: where each of them began.
        ends: where it should have come.
    """

    group: Group
    begins: Sequence[Theta]
    ends: Sequence[Theta]

    def __call__(self, theta: Theta) -> Tensor:
        """‖θ − end‖² / ‖begin − end‖², over all parameters together; the mean over students."""
        triples = zip(self.group.members(theta), self.begins, self.ends, strict=True)
        return torch.stack([_squares(one, end) / _squares(begin, end) for one, begin, end in triples]).mean()


def _squares(first: Theta, second: Theta) -> Tensor:
    return torch.stack([(first[name] - second[name]).square().sum() for name in second]).sum()


class TrajectoryMatching:
    """Where a window of steps on the summary leads, from weights on the way of a full-data training.

    Each outer step draws one of the trainings, and weights on its way. The optimizer of the window begins
    anew there.

    Args:
        group: of the students.
        trajectories: weights on the ways of full-data trainings, each at least `ahead` + 1 of them.
        ahead: how many further on along the way a window must lead.
        seed: of the draws.
    """

    figure = "trajectory_distance"

    def __init__(self, group: Group, trajectories: Sequence[Sequence[Theta]], ahead: int, seed: int) -> None:
        self.group = group
        self._trajectories, self._ahead, self._seed = trajectories, ahead, seed

    def draw(self, step: int, summary: Summary, loop: InnerLoop) -> Episode:
        """See `Objective`."""
        rng = np.random.default_rng([self._seed, 1, step])
        begins, ends = zip(*(self._stretch(rng) for _ in range(self.group.runs)), strict=True)
        return Episode(
            self.group.inner,
            self.group.joined(begins),
            None,
            step,
            loop.window_of(step).running,
            loop.batches(summary, step, 0, loop.window.steps),
            TrajectoryDistance(self.group, begins, ends),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Nothing: the trajectories do not change."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Nothing to do."""

    def _stretch(self, rng: np.random.Generator) -> tuple[Theta, Theta]:
        """Where a window begins, and where it must lead."""
        trajectory = self._trajectories[int(rng.integers(len(self._trajectories)))]
        begin = int(rng.integers(len(trajectory) - self._ahead))
        return trajectory[begin], trajectory[begin + self._ahead]
