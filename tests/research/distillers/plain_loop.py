"""Outer steps in float64, and the plain loops that they are compared with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from farzi.data import Log
from farzi.distillation import OuterLoop
from farzi.recipe import Inner, Outer, Recipe, SummaryShape
from farzi.recipe import variants as v
from farzi.summary import RandomInitializer, Size, SummaryTensors
from farzi.training import NextEvent, make_model
from tests.distillation.recording import RecordingClip

Theta = dict[str, Tensor]
STEPS, WINDOW, SKIP, BATCH, SEED, AHEAD = 7, 3, 2, 5, 11, 2
STUDENTS = {"sasrec": v.SASRec(hidden=6), "gru4rec": v.GRU4Rec(hidden=6)}
WAYS = [("materialized", "eager"), ("factored", "eager"), ("factored", "graph")]


@dataclass(frozen=True)
class DoubleWeights:
    """Fresh weights in double precision."""

    def __call__(self, rng: np.random.Generator, fresh: Any, recorded: Any) -> Theta:
        return {name: value.double() for name, value in fresh(rng).items()}


class World:
    """A summary, a student and its loss in float64, and an outer loop on them."""

    def __init__(self, tiny: Log, name: str, replicas: int, soft_inputs: Any, rows: int | None) -> None:
        start = RandomInitializer()(Size(6, 5, 4, 41, 0.5), tiny.train, np.random.default_rng(0))
        self.start = SummaryTensors(start.latents.double(), start.decoder.double(), 0.5)
        self.tiny, self.soft_inputs, self.rows, self.replicas = tiny, soft_inputs, rows, replicas
        self.student = STUDENTS[name]
        self.loss = NextEvent(make_model(self.student, 41, 5, 0))
        self.clip = RecordingClip()

    def weights(self, rng: np.random.Generator) -> Theta:
        model = make_model(self.student, 41, 5, int(rng.integers(2**62)))
        return {name: value.double() for name, value in self.loss.parameters_of(model).items()}

    def outer(self, objective: object, execution: Any, **settings: Any) -> OuterLoop:
        trajectories = settings.pop("recorded", [])
        recipe = Recipe(
            seed=SEED,
            student=self.student,
            summary=SummaryShape(
                sequences=6, length=5, temperature=0.5, parametrization=v.LowRank(dim=4, label_decoder=False)
            ),
            init=v.RandomInit(),
            inner=Inner(
                optimizer=v.Adam(learning_rate=0.02),
                cooldown=0.0,
                steps=STEPS,
                batch=self.rows,
                soft_inputs=self.soft_inputs,
            ),
            outer=Outer(
                batch=BATCH,
                window=WINDOW,
                burn_in=SKIP,
                replicas=self.replicas,
                objective=objective,  # pyright: ignore[reportArgumentType] (an object is a variant too)
                execution=execution,
                **settings,
            ),
        )
        loop = OuterLoop(recipe, self.tiny, self.start, trajectories)
        loop.clip = self.clip
        return loop

    def schedule(self, step: int) -> list[list[int]]:
        """What the steps of a run read that began at that outer step, and one step more."""
        if self.rows is None:
            return [list(range(6))] * (STEPS + 1)
        seed = int(np.random.default_rng([SEED, 4, step]).integers(2**62))
        orders = [np.random.default_rng([seed, 3, k]).permutation(6) for k in range(6)]
        return np.concatenate(orders)[: self.rows * (STEPS + 1)].reshape(-1, self.rows).tolist()

    def trained(
        self,
        theta: Theta,
        soft: Tensor,
        steps: int,
        schedule: list[list[int]],
        differentiated: bool,
        further: Callable[[Theta], Tensor] | None = None,
        since: int = 0,
    ) -> Theta:
        """Plain steps of Adam; after `since` of them `further` is added to the loss on the summary."""
        mean = {name: torch.zeros_like(value) for name, value in theta.items()}
        square = {name: torch.zeros_like(value) for name, value in theta.items()}
        for t in range(1, steps + 1):
            if t == 1 or not differentiated:
                theta = {name: value.detach().requires_grad_() for name, value in theta.items()}
            value = self.loss.at(theta, soft[schedule[t - 1]])
            if further is not None and t > since:
                value = value + further(theta)
            gradients = torch.autograd.grad(value, list(theta.values()), create_graph=differentiated)
            after = {}
            for (name, parameter), g in zip(theta.items(), gradients):
                mean[name] = 0.9 * mean[name] + 0.1 * g
                square[name] = 0.999 * square[name] + 0.001 * g * g
                root = torch.where(square[name] > 0, square[name], 1.0).sqrt() * (square[name] > 0)
                step = mean[name] / (1 - 0.9**t) / (root / (1 - 0.999**t) ** 0.5 + 1e-5)
                after[name] = parameter - 0.02 * step
            theta = after
        return theta

    def leaves(self, summary: SummaryTensors) -> tuple[Tensor, Tensor, Tensor]:
        latents, decoder = summary.latents.clone().requires_grad_(), summary.decoder.clone().requires_grad_()
        return latents, decoder, SummaryTensors(latents, decoder, 0.5).soft_inputs()

    def distance(self, ours: Theta, theirs: Theta) -> Tensor:
        """Of gradients, in a sum over layers; none of these students has a layer without a gradient."""
        whole = torch.cat([value.flatten() for value in theirs.values()]).norm()
        assert all(value.norm() > 1e-4 * whole for value in theirs.values())
        cosines = [
            torch.nn.functional.cosine_similarity(ours[name].flatten(), theirs[name].flatten(), dim=0)
            for name in theirs
        ]
        return sum((1 - one for one in cosines), torch.zeros((), dtype=torch.float64))

    def gradient(self, theta: Theta, events: Tensor, create: bool) -> Theta:
        theta = {name: value.detach().requires_grad_() for name, value in theta.items()}
        found = torch.autograd.grad(self.loss.at(theta, events), list(theta.values()), create_graph=create)
        return dict(zip(theta, found, strict=True))


def agree(found: Tensor, expected: Tensor, tolerance: float = 1e-11) -> None:
    assert expected.norm() > 1e-4
    assert (found - expected).norm() / expected.norm() < tolerance
