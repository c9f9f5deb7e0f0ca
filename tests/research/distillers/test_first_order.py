"""The first-order distiller: on a problem with a known metagradient, against a plain loop, and on a log."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from farzi.data import Log, crops
from farzi.distillation import InnerRun, OuterLoop, initialise
from farzi.recipe import Recipe
from farzi.recipe import variants as v
from farzi.training import NextEvent, train_on_summary
from farzi.unroll import SGD, Optimizer, State, train, unroll
from research.distillers.first_order import FirstOrder

from .plain_loop import BATCH, SEED, SKIP, STEPS, STUDENTS, WAYS, WINDOW, DoubleWeights, World, agree


class Quadratic:
    """An outer loop on L(w; s) = (w − B s)ᵀ A (w − B s) / 2 and R(w) = (w − t)ᵀ C (w − t) / 2.

    The minimum is w* = B s, hence dR(w*)/ds = Bᵀ C (B s − t). That of R + λ L, wλ, solves
    (C + λ A) w = C t + λ A B s, and the penalty's gradient is λ Bᵀ A (w* − wλ).
    """

    def __init__(self) -> None:
        rng = torch.Generator().manual_seed(3)

        def positive() -> Tensor:
            root = torch.randn(3, 3, generator=rng, dtype=torch.float64)
            return root @ root.T / 3 + 0.5 * torch.eye(3, dtype=torch.float64)

        self.a, self.c = positive(), positive()
        self.b = torch.randn(3, 2, generator=rng, dtype=torch.float64)
        self.t, self.s = (torch.randn(n, generator=rng, dtype=torch.float64) for n in (3, 2))
        self.summary = {"s": self.s}
        self.soft_inputs: Callable[[Any], Any] = lambda summary: summary
        self.recipe = SimpleNamespace(outer=SimpleNamespace(pool=0))

    def at(self, theta: Any, data: Any, batch: Any = None) -> Tensor:
        """R of `windows`, a tensor; L of a summary."""
        real = isinstance(data, Tensor)
        apart = theta["w"] - (data if real else self.b @ data["s"])
        return apart @ (self.c if real else self.a) @ apart / 2

    def draw(self, step: int, replica: int) -> tuple[Any, InnerRun, Tensor]:
        loss = SimpleNamespace(at=self.at)
        run = InnerRun({"w": torch.zeros(3, dtype=torch.float64)}, State(0, ()), step)
        return SimpleNamespace(loss=loss), run, self.t

    def rates_of(self, started_at: int) -> Any:
        return SimpleNamespace(until=lambda end: SGD(0.2), length=600, window=600, annealed=False)

    def batches(self, started_at: int, first: int, steps: int) -> list[None]:
        return [None] * steps

    def advance(self, loss: Any, run: InnerRun, optimizer: Optimizer, steps: int) -> InnerRun:
        end = train(self.at, run.theta, self.summary, optimizer, [None] * steps)
        return InnerRun(end.theta, end.state, run.started_at)


def test_it_approaches_the_metagradient_of_a_quadratic_problem():
    problem = Quadratic()
    minimum = problem.b @ problem.s
    exact = problem.b.T @ problem.c @ (minimum - problem.t)
    errors = []
    for penalty in (1.0, 10.0, 100.0, 1000.0):
        episode = FirstOrder(penalty).episode(problem, 0)  # pyright: ignore[reportArgumentType]
        s = problem.s.clone().requires_grad_()
        end = unroll(episode.inner, episode.begin.theta, {"s": s}, episode.optimizer, episode.batches)
        loss = episode.outer(end)
        (found,) = torch.autograd.grad(loss, s)
        both = problem.c + penalty * problem.a
        penalised = torch.linalg.solve(both, problem.c @ problem.t + penalty * problem.a @ minimum)
        closed = penalty * problem.b.T @ problem.a @ (minimum - penalised)
        torch.testing.assert_close(found, closed, rtol=1e-9, atol=1e-9)
        real = problem.at({"w": penalised}, problem.t, None)
        gap = problem.at({"w": penalised}, problem.summary, None)
        torch.testing.assert_close(loss.detach(), real + penalty * gap)
        errors.append(float((found - exact).norm() / exact.norm()))
    assert errors[0] > 0.1 > errors[2]
    assert errors[-1] < 0.01
    assert 9 < errors[2] / errors[3] < 11  # O(1/λ)


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize(("soft_inputs", "execution"), WAYS)
@pytest.mark.parametrize(("replicas", "rows", "pool"), [(1, 4, 2), (3, None, 0)])
def test_it_is_that_of_the_plain_loop(
    tiny: Log, name: str, soft_inputs: str, execution: str, replicas: int, rows: int | None, pool: int
):
    penalty = 3.0
    world = World(tiny, name, replicas, soft_inputs, rows)
    outer = world.outer(FirstOrder(penalty), execution, pool=pool, weights=DoubleWeights)
    summary = outer.summary
    report = outer.take_step(0.03)
    rng = np.random.default_rng([SEED, 1, 0])
    if pool:
        rng.integers(pool)
    age = SKIP if pool else int(rng.integers(SKIP, STEPS - WINDOW + 1))
    firsts = [world.weights(rng) for _ in range(replicas)]
    windows = torch.from_numpy(crops(tiny.train, 5, BATCH, rng))
    latents, decoder, soft = world.leaves(summary)
    schedule = world.schedule(0)
    total, optimal = torch.zeros((), dtype=torch.float64), {}
    for first in firsts:
        steps = age + WINDOW
        optimal = world.trained(first, soft.detach(), steps, schedule, differentiated=False)
        penalised = world.trained(
            first,
            soft.detach(),
            steps,
            schedule,
            differentiated=False,
            further=lambda theta: world.loss.at(theta, windows) / penalty,
            since=age,
        )
        read = soft[schedule[steps]]
        gap = world.loss.at(penalised, read) - world.loss.at(optimal, read)
        total = total + (world.loss.at(penalised, windows) + penalty * gap) / replicas
    bars = torch.autograd.grad(total, [latents, decoder])
    agree(world.clip.seen[-1], torch.cat([bar.reshape(-1) for bar in bars]), 1e-9)
    assert report.loss == pytest.approx(total.item(), rel=1e-9)
    assert report.name == "penalised_loss"
    if pool:  # the student that only the summary trained is trained further
        theta, _, count, started_at = outer.state_dict()["runs"][0][0][0]
        assert (count, started_at) == (SKIP + WINDOW, 0)
        for key, value in optimal.items():
            torch.testing.assert_close(theta[key], value.detach())


def test_it_lowers_the_real_loss_of_new_students(tiny: Log, recipe: Recipe):
    """With windows that end as trainings end, where both sets of weights are nearest to minima."""
    recipe = recipe.changed(
        {
            "init": v.RandomInit(),
            "inner.optimizer.learning_rate": 0.05,
            "inner.steps": 16,
            "inner.cooldown": 0.5,
            "outer.window": 8,
            "outer.batch": 64,
            "outer.objective": {"type": "research.distillers.first_order:FirstOrder"},
        }
    )
    windows = torch.from_numpy(crops(tiny.train, 5, 200, np.random.default_rng(3)))

    def real_loss(loop: OuterLoop) -> float:
        """Of students from new weights."""
        students = [
            train_on_summary(loop.summary, recipe.student, recipe.inner, seed).model for seed in (7, 8, 9)
        ]
        losses = map(NextEvent, students)
        return float(np.mean([float(one.at(one.parameters_of(one.student), windows)) for one in losses]))

    loop = OuterLoop(recipe, tiny, initialise(recipe, tiny))
    before = real_loss(loop)
    for _ in range(30):
        loop.take_step(0.1)
    assert real_loss(loop) < before - 0.3
