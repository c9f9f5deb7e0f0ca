"""The paper's Algorithm 1 compared with the exact metagradient, at a recipe's first outer step."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from farzi.distillation import OuterLoop, initialise
from farzi.recipe import Recipe
from farzi.unroll import Adjoint, Algorithm1, Exact, State, unroll_with_state
from research.studies.bench import Bench
from research.studies.study import Demand, Repeat


@dataclass(frozen=True)
class AlgorithmOne:
    """How far Algorithm 1's metagradient is from the exact one, through all steps of a fresh run.

    Attributes:
        recipe: gives the data, the student and the inner training, whose optimizer must be Adam.
        steps: of the run.
    """

    recipe: Recipe
    steps: int

    def __call__(self, bench: Bench, repeat: Repeat) -> dict[str, float]:
        """Cosine of the two and ratio of their lengths, in float32 and in float64."""
        recipe = self.recipe.changed(
            {
                "seed": self.recipe.seed + repeat.number,
                "inner.steps": self.steps,
                "inner.cooldown": 0.0,
                "outer.window": self.steps,
                "outer.burn_in": 0,
                "outer.pool": 0,
            }
        )
        dataset = bench.data(recipe.data)
        run = OuterLoop(recipe, dataset, initialise(recipe, dataset)).as_run()
        figures: dict[str, float] = {}
        for dtype, name in ((torch.float32, ""), (torch.float64, " in float64")):
            exact, paper = (metagradient(run, adjoint, dtype) for adjoint in (Exact(), Algorithm1()))
            figures[f"cosine{name}"] = float(torch.nn.functional.cosine_similarity(exact, paper, dim=0))
            figures[f"length ratio{name}"] = float(paper.norm() / exact.norm())
        return figures

    @property
    def demand(self) -> Demand:
        """It needs no distillation and no training."""
        return Demand()


def metagradient(run: dict[str, Any], adjoint: Adjoint, dtype: torch.dtype) -> Tensor:
    """The metagradient of a run with respect to the summary's factors, flat, in float64.

    Args:
        run: as `OuterLoop.as_run` gives it.
        adjoint: exact, or Algorithm 1.
        dtype: of the run.
    """
    theta = {name: value.detach().to(dtype) for name, value in run["theta0"].items()}
    data = {name: value.detach().to(dtype).requires_grad_() for name, value in run["data"].items()}
    before: State | None = run["state"]  # None for a run that starts here
    state = before and State(before.step, tuple(slot.to(dtype) for slot in before.slots))
    end = unroll_with_state(
        run["loss"], theta, run["view"](data), run["optimizer"], run["batches"], adjoint, state=state
    )
    bars = torch.autograd.grad(run["outer"](end.theta), list(data.values()))
    return torch.cat([bar.reshape(-1) for bar in bars]).double()
