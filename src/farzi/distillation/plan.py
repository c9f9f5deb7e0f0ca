"""What a distillation will take, from its recipe and its log, before it begins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from farzi.data import Data, crops
from farzi.distillation.build import first_summary, form_of, inner_loop, objective_of
from farzi.distillation.contradictions import refuse_contradictions
from farzi.distillation.execution import chosen_execution
from farzi.distillation.loop import InnerLoop
from farzi.distillation.objectives import Episode, Objective
from farzi.distillation.reference import trainings
from farzi.distillation.runs import Point
from farzi.distillation.weights import Theta
from farzi.evaluation import kind_of
from farzi.recipe import Recipe
from farzi.summary import Summary, chosen_feed
from farzi.training import EventTraining, NextEvent, make_student
from farzi.unroll import Budget, Memory, Optimizer, Plan, State, plan
from farzi.unroll.calibration import timed
from farzi.unroll.execution import TreeLoss
from farzi.unroll.plan import MEMORIES
from farzi.unroll.trees import bytes_of, tree_leaves, with_leaves

ROUNDS = 3
"""How often what lies outside the inner loop is timed."""

REHEARSED = 300
"""Outer steps whose draws are looked at."""


@dataclass(frozen=True)
class RunPlan:
    """A distillation's price.

    Attributes:
        window: the differentiated steps of one outer step, by each memory strategy.
        used: the strategy that a distillation uses.
        execution: how steps are carried out: "eager", "graph" or "compiled".
        because: why.
        feed: how the inner loop reads the summary: "whole" or "factored".
        feed_because: why.
        summary_bytes: of what it reads, soft events or factors, beside the window's own bytes.
        plain_steps: undifferentiated inner steps of the whole run.
        seconds_real: outside the inner loop, in an outer step: soft events, loss on real events, and back.
        outer_steps: how many.
        validations: how many, the start's included.
        seconds_validation: of one of them.
        seconds_reference_step: of one step of the full-data training; it takes as many as it needs.
        reference_steps: at most.
    """

    window: Plan
    used: Memory
    execution: str
    because: str
    feed: str
    feed_because: str
    summary_bytes: int
    plain_steps: int
    seconds_real: float
    outer_steps: int
    validations: int
    seconds_validation: float
    seconds_reference_step: float
    reference_steps: int

    def seconds_outer(self, seconds_window: float) -> float:
        """Seconds of an outer step whose window takes so long; a mean over the run."""
        step = self.window.calibration.seconds_gradient + self.window.calibration.seconds_update
        return seconds_window + self.seconds_real + step * self.plain_steps / self.outer_steps


def plan_run(
    recipe: Recipe,
    dataset: Data,
    memories: Sequence[Memory | Budget | str] | None = None,
    device: torch.device | str = "cpu",
) -> RunPlan:
    """Measure the parts of an outer step, and add them up. Nothing is written.

    With `recipe.outer.minutes` the totals are those of `recipe.outer.steps` steps all the same.

    Args:
        recipe: the whole run.
        dataset: its log.
        memories: strategies for the window, as for `farzi.unroll.plan`; that of the recipe is among them.
        device: where it is to be distilled.

    Raises:
        FarziError: the recipe contradicts itself, or the log is too small.
        ValueError: nothing fits in the bytes given.
    """
    refuse_contradictions(recipe)
    start = first_summary(recipe, dataset).to(device)
    student = make_student(
        recipe.student, len(dataset.vocabulary), recipe.summary.length, recipe.seed, device
    )
    weights = NextEvent(student).parameters_of(student)  # any will do
    objective = objective_of(recipe, dataset, [[weights] * (1 + (recipe.outer.ahead or 1))], device)
    runs = objective.group
    loss = runs.loss
    theta = runs.joined([weights] * runs.runs)
    execution, because = chosen_execution(recipe, student)
    name, feed_because = chosen_feed(recipe.inner, start)
    loop = inner_loop(recipe, start, objective)
    episode, plain_steps = _rehearsed(objective, start, loop, recipe.outer.steps)
    with torch.no_grad():
        fed = loop.feed(start)
    data = with_leaves(fed, [leaf.clone().requires_grad_() for leaf in tree_leaves(fed)])
    window = plan(
        runs.inner,
        theta,
        data,
        episode.optimizer,
        episode.batches,
        _with_used(MEMORIES if memories is None else memories, loop.memory),
        execution=loop.execution,
        calibrate=ROUNDS,
    )
    rng = np.random.default_rng(recipe.seed)
    training = EventTraining()
    count = training.windows(dataset.train, recipe.summary.length)
    windows = torch.from_numpy(crops(dataset.train, recipe.summary.length, count, rng)).to(device)
    kind = kind_of(dataset, recipe.outer.seen)
    train_step = (window.calibration.seconds_gradient + window.calibration.seconds_update) / recipe.outer.runs
    seconds = partial(_seconds, device=start.device)
    measured = seconds(lambda: kind.evaluate(student, dataset.valid), rounds=1)
    return RunPlan(
        window=window,
        used=loop.memory,
        execution=execution,
        because=because,
        feed=name,
        feed_because=feed_because,
        summary_bytes=bytes_of(tree_leaves(fed)),
        plain_steps=plain_steps,
        seconds_real=seconds(lambda: _outside(recipe, start, loop, episode, theta)),
        outer_steps=recipe.outer.steps,
        validations=1 + -(-recipe.outer.steps // recipe.outer.validate_every),
        seconds_validation=recipe.outer.validate_students * (recipe.inner.steps * train_step + measured),
        seconds_reference_step=seconds(lambda: _gradient(lambda one: loss.at(one, windows), weights))
        + measured / training.every,
        reference_steps=len(trainings(recipe)) * training.steps,
    )


def _with_used(memories: Sequence[Memory | Budget | str], used: Memory) -> Sequence[Memory | Budget | str]:
    return memories if used in memories else [used, *memories]


@dataclass(frozen=True, eq=False)
class _Still(InnerLoop):
    """Trains nobody: counts the steps that would be taken."""

    taken: list[int] = field(default_factory=list)

    def trained(
        self,
        summary: Summary,
        inner: TreeLoss,
        theta: Theta,
        state: State | None,
        born: int,
        optimizer: Optimizer,
        steps: int,
    ) -> Point:
        self.taken.append(steps)
        return Point(theta, State(steps + (0 if state is None else state.step), ()), born)


def _rehearsed(
    objective: Objective, summary: Summary, loop: InnerLoop, outer_steps: int
) -> tuple[Episode, int]:
    """An episode of the recipe's own student, and the inner steps that a run takes undifferentiated.

    The draws are the run's own, and those after it where none of its own is that student's; of a long run
    those of the first `REHEARSED` steps stand for all.
    """
    still = _Still(**{part.name: getattr(loop, part.name) for part in fields(loop)})
    steps, step, taken, found = min(outer_steps, REHEARSED), 0, 0, None
    while step < steps or found is None:
        episode = objective.draw(step, summary, still)
        if found is None and episode.inner == objective.group.inner:
            found = episode
        age = (0 if episode.state is None else episode.state.step) + len(episode.batches)
        episode.put(Point(episode.theta, State(age, ()), episode.born))
        step += 1
        if step == steps:
            taken = sum(still.taken)
    return found, round(taken * outer_steps / steps)


def _outside(recipe: Recipe, start: Summary, loop: InnerLoop, episode: Episode, theta: Theta) -> None:
    """What an outer step does before and after its window, the optimizer's step aside."""
    form = form_of(recipe)
    parts = {name: part.requires_grad_() for name, part in form.parts(start).items()}
    leaves = tree_leaves(loop.feed(form.summary(parts, start.temperature)))
    torch.autograd.grad(leaves, list(parts.values()), [torch.ones_like(leaf) for leaf in leaves])
    _gradient(episode.outer, theta)


def _gradient(loss: Callable[[Theta], Tensor], theta: Theta) -> None:
    leaves = {name: value.detach().requires_grad_() for name, value in theta.items()}
    torch.autograd.grad(loss(leaves), list(leaves.values()))


def _seconds(operation: Callable[[], Any], device: torch.device, rounds: int = ROUNDS) -> float:
    """Of a call after the first; a median."""
    operation()
    return median(timed(operation, device) for _ in range(rounds))
