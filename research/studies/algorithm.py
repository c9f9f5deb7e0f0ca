"""The paper's Algorithm 1 beside the exact metagradient, at a recipe's first outer step."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from farzi.distillation.build import first_summary, outer_loop
from farzi.distillation.clipping import RunningClip
from farzi.recipe import Recipe
from farzi.unroll import Algorithm1, Memory, State, Store, unroll_with_state
from research.studies.bench import Bench
from research.studies.study import Demand, Repeat
from research.studies.vary import varied


@dataclass(frozen=True)
class AlgorithmOne:
    """How far Algorithm 1's metagradient is from the exact one, through all of a fresh run's steps.

    Attributes:
        recipe: gives the data, the student and the inner training, whose optimizer must be Adam.
        steps: of the run.
    """

    recipe: Recipe
    steps: int

    def __call__(self, bench: Bench, repeat: Repeat) -> dict[str, float]:
        """Cosine of the two and ratio of their lengths, in float32 and in float64."""
        shape = {"inner.steps": self.steps, "inner.window": self.steps, "inner.skip": 0, "inner.pool": 0}
        recipe = varied(
            self.recipe, {**shape, "inner.cooldown": 0.0, "seed": self.recipe.seed + repeat.number}
        )
        dataset = bench.data(recipe.data)
        outer = outer_loop(recipe, dataset, first_summary(recipe, dataset), RunningClip(), [])
        run = outer.as_run()
        found: dict[str, float] = {}
        for dtype, name in ((torch.float32, ""), (torch.float64, " in float64")):
            exact, paper = (metagradient(run, memory, dtype) for memory in (Store(), Algorithm1()))
            found[f"cosine{name}"] = float(torch.nn.functional.cosine_similarity(exact, paper, dim=0))
            found[f"length ratio{name}"] = float(paper.norm() / exact.norm())
        return found

    @property
    def demand(self) -> Demand:
        """Nothing but seconds."""
        return Demand()


def metagradient(run: dict[str, Any], memory: Memory, dtype: torch.dtype) -> Tensor:
    """The metagradient of a run by a memory strategy, by the summary's factors, flat, in float64.

    Args:
        run: as `Outer.as_run` gives it.
        memory: the strategy; `Algorithm1()` is the paper's adjoint.
        dtype: of the run.
    """
    theta = {name: value.detach().to(dtype) for name, value in run["theta0"].items()}
    data = {name: value.detach().to(dtype).requires_grad_() for name, value in run["data"].items()}
    before: State = run["state"]
    state = State(before.step, tuple(slot.to(dtype) for slot in before.slots))
    end = unroll_with_state(
        run["loss"], theta, run["view"](data), run["optimizer"], run["batches"], memory=memory, state=state
    )
    bars = torch.autograd.grad(run["outer"](end.theta), list(data.values()))
    return torch.cat([bar.reshape(-1) for bar in bars]).double()
