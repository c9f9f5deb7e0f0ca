"""What a distillation will take, from its recipe and its log, before it begins."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from farzi.data import Data, crops
from farzi.distillation.build import EXECUTIONS, chosen_execution, first_summary, inner_runs
from farzi.distillation.runs import Point
from farzi.distillation.together import Alone, Group, group
from farzi.distillation.weights import Theta
from farzi.distillation.window import Window
from farzi.evaluation import kind_of
from farzi.recipe import Recipe
from farzi.summary import FEEDS, Feed, Rows, Summary, chosen_feed
from farzi.training import EventTraining, NextEvent, make_student
from farzi.unroll import Budget, Memory, Plan, State, Store, plan
from farzi.unroll.trees import bytes_of, tree_leaves, with_leaves

ROUNDS = 3
"""How often what lies outside the inner loop is timed."""


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
    recipe: Recipe, dataset: Data, memories: Sequence[Memory | Budget | str] | None = None
) -> RunPlan:
    """Measure the parts of an outer step, and add them up. Nothing is written.

    With `recipe.outer.minutes` the totals are those of `recipe.outer.steps` steps all the same.

    Args:
        recipe: the whole run.
        dataset: its log.
        memories: strategies for the window, as for `farzi.unroll.plan`.

    Raises:
        FarziError: the log is too small.
        ValueError: nothing fits in the bytes given.
    """
    start = first_summary(recipe, dataset)
    student = make_student(recipe.student, len(dataset.vocabulary), recipe.summary.length, recipe.seed)
    loss = NextEvent(student)
    runs = group(loss, recipe.outer.runs)
    theta = runs.weights(lambda rng: loss.parameters_of(student))(np.random.default_rng())
    execution, because = chosen_execution(recipe, student)
    name, feed_because = chosen_feed(recipe.inner, start)
    feed = FEEDS[name]
    with torch.no_grad():
        fed = feed(start)
    data = with_leaves(fed, [leaf.clone().requires_grad_() for leaf in tree_leaves(fed)])
    window = plan(
        runs.inner,
        theta,
        data,
        Window.of(recipe.inner).ending(0),
        Rows(start.sequences, recipe.inner.batch, recipe.seed).batches(0, recipe.inner.window),
        memories,
        execution=EXECUTIONS[execution](),
        calibrate=ROUNDS,
    )
    length, rng = student.length + 1, np.random.default_rng(recipe.seed)
    real = torch.from_numpy(crops(dataset.train, length, recipe.outer.batch, rng))
    training = EventTraining()
    windows = torch.from_numpy(
        crops(
            dataset.train, recipe.summary.length, training.windows(dataset.train, recipe.summary.length), rng
        )
    )
    kind = kind_of(dataset, recipe.outer.seen)
    train_step = (window.calibration.seconds_gradient + window.calibration.seconds_update) / recipe.outer.runs
    measured = _seconds(lambda: kind.evaluate(student, dataset.valid), rounds=1)
    return RunPlan(
        window=window,
        used=Store(),
        execution=execution,
        because=because,
        feed=name,
        feed_because=feed_because,
        summary_bytes=bytes_of(tree_leaves(fed)),
        plain_steps=_plain_steps(recipe),
        seconds_real=_seconds(lambda: _outside(start, feed, runs, theta, real)),
        outer_steps=recipe.outer.steps,
        validations=1 + -(-recipe.outer.steps // recipe.outer.validate_every),
        seconds_validation=recipe.outer.validate_students * (recipe.inner.steps * train_step + measured),
        seconds_reference_step=_seconds(lambda: _gradient(Alone(loss), loss.parameters_of(student), windows))
        + measured / training.every,
        reference_steps=training.steps,
    )


def _plain_steps(recipe: Recipe) -> int:
    """Inner steps that a run takes undifferentiated: its own draws, drawn here."""
    taken = 0

    def advance(theta: Theta, steps: int) -> Point:
        nonlocal taken
        taken += steps
        return Point({}, State(steps, ()))

    def nothing(rng: np.random.Generator) -> Theta:
        return {}

    runs, window = inner_runs(recipe, nothing), Window.of(recipe.inner)
    for step in range(recipe.outer.steps):
        point = runs.take(advance, np.random.default_rng([recipe.seed, 1, step]))
        runs.put(Point({}, State(point.state.step + window.steps, ())))
        if window.cools:  # to where the differentiated steps begin, and past them
            taken += window.length
    return taken


def _outside(start: Summary, feed: Feed, runs: Group, theta: Theta, real: Tensor) -> None:
    """What an outer step does before and after its window, the optimizer's step aside."""
    latents, decoder = start.latents.detach().requires_grad_(), start.decoder.detach().requires_grad_()
    leaves = tree_leaves(feed(Summary(latents, decoder, start.temperature)))
    torch.autograd.grad(leaves, [latents, decoder], [torch.ones_like(leaf) for leaf in leaves])
    _gradient(runs, theta, real)


def _gradient(runs: Group, theta: Theta, events: Tensor) -> None:
    leaves = {name: value.detach().requires_grad_() for name, value in theta.items()}
    torch.autograd.grad(runs.outer(leaves, events), list(leaves.values()))


def _seconds(operation: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """Of a call after the first; a median."""
    operation()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        operation()
        times.append(time.perf_counter() - begin)
    return median(times)
