"""First-order distillation: a penalty in place of the derivative of a training (F2SA, arXiv 2301.10945).

With L the students' loss on the summary S, and R that on real events, distillation is the bilevel problem

    min over S of R(θ*),   θ* = argmin over θ of L(θ; S).

Its penalty form has a second set of weights, which sees the real events a little:

    θλ = argmin over θ of R(θ) + λ L(θ; S),   F(S) = R(θλ) + λ [L(θλ; S) − L(θ*; S)].

Both are minima, so that a change of them does not count (the envelope theorem), and

    dF/dS = λ [∂L/∂S (θλ; S) − ∂L/∂S (θ*; S)],

first derivatives of L alone. Where L is strongly convex in θ, it differs from dR(θ*)/dS by O(1/λ): Kwon et
al., "A Fully First-Order Method for Stochastic Bilevel Optimization". BOME (arXiv 2209.08709) treats the same
difference of losses as a constraint, L(θ; S) ≤ L(θ*; S).

Here each minimum is `outer.window` steps of the inner optimizer from the same student in training, with the
same sequences. After so few steps neither is a minimum, and dF/dS is an approximation of the metagradient.

FOSTER (arXiv 2605.30772) distils text-based sequential recommenders by first-order optimization. This is not
its algorithm: only its abstract was read. Common to both is that nothing is differentiated twice. What the
abstract names besides is absent: samples of the items, which have no texts to encode here; parameters reset
along a trajectory (`outer.weights: {type: pretrained}` comes nearest); a term for similar items.

    outer: {objective: {type: "research.distillers.first_order:FirstOrder", penalty: 3}}
"""

from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
from torch import Tensor

from farzi.distillation import Episode, InnerRun, OuterLoop, Theta
from farzi.errors import FarziError
from farzi.recipe import Recipe
from farzi.training import NextEvent
from farzi.unroll import State, train
from research.distillers.gradients import Gradient


@dataclass(frozen=True)
class FirstOrder:
    """How much worse the summary's loss gets in a training that also sees real events.

    Attributes:
        penalty: λ, above 0. The larger, the nearer to the metagradient, and the more rounding counts.
    """

    penalty: float = 3.0
    name = "penalised_loss"

    def check(self, recipe: Recipe) -> None:
        """See `farzi.distillation.Objective`."""
        if not self.penalty > 0:
            raise FarziError(f"outer.objective.penalty {self.penalty:g}: must be above 0")
        if recipe.outer.adjoint.type == "algorithm1":
            raise FarziError(
                "outer.adjoint.type algorithm1: runs Adam backwards, and a first-order step runs nothing "
                "backwards"
            )

    def episode(self, loop: OuterLoop, step: int, replica: int = 0) -> Episode:
        """See `farzi.distillation.Objective`.

        What is differentiated is one step on u L(θλ; S) + v L(θ*; S), whose only parameters are u and v. Its
        gradient is the two losses, and the engine's derivative of that with respect to S a first one of L.
        """
        pool, run, windows = loop.draw(step, replica)
        loss, rates = pool.loss, loop.rates_of(run.started_at)
        optimizer = rates.until(run.state.step + rates.length)
        ahead = rates.length - rates.window
        begin = loop.advance(loss, run, optimizer, ahead) if ahead else run
        batches = loop.batches(begin.started_at, begin.state.step, rates.window + 1)
        optimal = loop.advance(loss, begin, optimizer, rates.window)
        penalised: Theta = train(
            MethodType(_penalised, loss),
            begin.theta,
            loop.soft_inputs(loop.summary),
            optimizer,
            [(batch, windows, 1 / self.penalty) for batch in batches[:-1]],
            state=begin.optimizer_state,
        ).theta  # eagerly: real windows have paddings, which no graph can leave out
        with torch.no_grad():
            real = loss.at(penalised, windows)

        def finish(end: InnerRun) -> None:
            pool.put(loop.advance(loss, run, rates.until(), rates.window) if rates.annealed else optimal)

        return Episode(
            MethodType(_both, loss),
            InnerRun({"weights": real.new_ones(2)}, State(0, ()), run.started_at),
            Gradient(),
            [(batches[-1], penalised, optimal.theta)],
            lambda losses: real + self.penalty * (losses["weights"][0] - losses["weights"][1]),
            finish if loop.recipe.outer.pool else None,
        )


def _penalised(loss: NextEvent, theta: Theta, data: Any, batch: Any) -> Tensor:
    """L + R / λ, which has the minimum of R + λ L and suits the learning rate of L."""
    sequences, windows, share = batch
    return loss.at(theta, data, sequences) + share * loss.at(theta, windows)


def _both(loss: NextEvent, theta: Theta, data: Any, batch: Any) -> Tensor:
    """U L(θλ; S) + v L(θ*; S); `theta` holds u and v alone."""
    sequences, *ends = batch
    losses = torch.stack([loss.at(end, data, sequences) for end in ends])
    return (theta["weights"] * losses).sum()
