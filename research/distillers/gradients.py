"""Gradient matching: the summary's gradient must point where that of real events points (arXiv 2006.05929).

No training is differentiated, only a gradient at one point. A gradient is a run of one step of an optimizer
that leaves the gradient in the place of the parameters, so the engine differentiates it like any other run.

    outer: {objective: {type: "research.distillers.gradients:GradientMatching"}}
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from farzi.distillation import Episode, InnerRun, OuterLoop, Theta
from farzi.errors import FarziError
from farzi.recipe import Recipe
from farzi.training import NextEvent
from farzi.unroll import Optimizer, State

ROUNDING = 1e-5
"""Layers whose real gradient is a smaller share of the whole one are left out. It may be 0 but for
rounding, as that of the bias of attention keys, and then has no direction."""


@dataclass(frozen=True)
class Gradient(Optimizer):
    """θ ← g: leaves the gradient in the place of the parameters."""

    slots = 0

    def update(self, gradient: Tensor, state: State, theta: Tensor) -> tuple[Tensor, State]:
        """See `Optimizer`."""
        return gradient, State(state.step + 1, ())


@dataclass(frozen=True)
class GradientMatching:
    """The distance between a student's gradients on the summary and on real events, along its training.

    After each outer step the student is trained on the summary for as many steps as a window has. Unlike the
    paper this takes a tensor of parameters as a layer, not each of its rows: most rows of a table of items
    have no gradient in a batch.
    """

    name = "gradient_distance"

    def check(self, recipe: Recipe) -> None:
        """See `farzi.distillation.Objective`."""
        if recipe.outer.adjoint.type == "algorithm1":
            raise FarziError(
                "outer.adjoint.type algorithm1: runs Adam backwards, and gradient matching runs none"
            )

    def episode(self, loop: OuterLoop, step: int, replica: int = 0) -> Episode:
        """See `farzi.distillation.Objective`."""
        pool, run, windows = loop.draw(step, replica)
        loss, rates = pool.loss, loop.rates_of(run.started_at)

        def finish(end: InnerRun) -> None:
            pool.put(loop.advance(loss, run, rates.until(), rates.window))

        return Episode(
            loss.at,
            run._replace(state=State(0, ())),
            Gradient(),
            loop.batches(run.started_at, run.state.step, 1),
            lambda gradients: _apart(gradients, _real(loss, run.theta, windows)),
            finish,
        )


def _real(loss: NextEvent, theta: Theta, windows: Tensor) -> Theta:
    """The gradient on real windows (batch, length)."""
    leaves = {name: value.detach().requires_grad_() for name, value in theta.items()}
    with torch.enable_grad():
        value = loss.at(leaves, windows)
    parts = torch.autograd.grad(value, list(leaves.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(leaves, parts, strict=True))


def _apart(ours: Theta, theirs: Theta) -> Tensor:
    """Σ over layers of 1 − cos, a layer being one tensor of the parameters."""
    norms = {name: value.norm() for name, value in theirs.items()}
    least = ROUNDING * torch.stack(list(norms.values())).norm()
    total = 0 * next(iter(ours.values())).sum()  # where no layer is left
    for name, norm in norms.items():
        if not norm <= least:  # nor where it is not finite
            total = total + 1 - (ours[name] * theirs[name]).sum() / (ours[name].norm() * norm)
    return total
