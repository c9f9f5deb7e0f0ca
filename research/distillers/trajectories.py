"""Trajectory matching: steps on the summary must lead where training on real events led (MTT).

Cazenavette et al., "Dataset Distillation by Matching Training Trajectories" (arXiv 2203.11932).

    outer: {objective: {type: "research.distillers.trajectories:TrajectoryMatching", trajectories: 5}}
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from farzi.distillation import Episode, InnerRun, OuterLoop, Theta
from farzi.errors import FarziError
from farzi.recipe import Recipe
from farzi.unroll import State


@dataclass(frozen=True)
class TrajectoryMatching:
    """Where a window of steps on the summary leads, from weights recorded along a full-data training.

    Each outer step draws one of the trainings, and weights recorded along it. The optimizer of the window
    starts from a new state there.

    Attributes:
        trajectories: full-data trainings whose weights are recorded.
        ahead: how many measurements further along the trajectory a window must lead.
    """

    trajectories: int = 5
    ahead: int = 1
    name = "trajectory_distance"

    def check(self, recipe: Recipe) -> None:
        """See `farzi.distillation.Objective`."""
        why = "windows start along full-data trainings of `student` alone"
        if recipe.outer.students:
            raise FarziError(f"outer.students: {why}; leave them out")
        if recipe.outer.weights.type != "fresh":
            raise FarziError(f"outer.weights.type {recipe.outer.weights.type}: {why}; leave it out")

    def episode(self, loop: OuterLoop, step: int, replica: int = 0) -> Episode:
        """See `farzi.distillation.Objective`.

        Raises:
            FarziError: a full-data training has too few measurements.
        """
        if min(map(len, loop.trajectories)) <= self.ahead:
            measurements = max(0, min(map(len, loop.trajectories)) - 1)
            raise FarziError(
                f"outer.objective.ahead {self.ahead}: a full-data training ended after {measurements} "
                "measurements; lower it"
            )
        rng = np.random.default_rng([loop.recipe.seed, 1, step])
        begin, end = [self._stretch(loop, rng) for _ in range(replica + 1)][-1]
        rates = loop.rates_of(step)

        def distance(theta: Theta) -> Tensor:
            """‖θ − end‖² / ‖begin − end‖², over all parameters together."""
            return _squares(theta, end) / _squares(begin, end)

        return Episode(
            loop.pools[0][replica].loss.at,
            InnerRun(begin, State(0, ()), step),
            rates.until(),
            loop.batches(step, 0, rates.window),
            distance,
        )

    def _stretch(self, loop: OuterLoop, rng: np.random.Generator) -> tuple[Theta, Theta]:
        """Where a window begins, and where it must lead."""
        trajectory = loop.trajectories[int(rng.integers(len(loop.trajectories)))]
        begin = int(rng.integers(len(trajectory) - self.ahead))
        return trajectory[begin], trajectory[begin + self.ahead]


def _squares(first: Theta, second: Theta) -> Tensor:
    return torch.stack([(first[name] - second[name]).square().sum() for name in second]).sum()
