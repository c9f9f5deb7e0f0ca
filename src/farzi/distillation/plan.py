"""What a distillation will take, from its recipe and its log, before it begins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from farzi.data import Data, crops
from farzi.distillation.execution import chosen_execution
from farzi.distillation.initialise import initialise
from farzi.distillation.inner import InnerRun
from farzi.distillation.objectives import Episode
from farzi.distillation.refine import OuterLoop, check_parts
from farzi.distillation.teach import RECORDED, full_trainings
from farzi.distillation.weights import Theta
from farzi.evaluation import task_of
from farzi.recipe import Recipe
from farzi.summary import SummaryTensors, chosen_soft_inputs
from farzi.training import NextEvent, make_model, windows_per_step
from farzi.unroll import Budget, Memory, Plan, State, Trained, plan
from farzi.unroll.diagnostics.calibration import timed
from farzi.unroll.diagnostics.plan import MEMORIES
from farzi.unroll.trees import bytes_of, tree_leaves, with_leaves

TRAJECTORY = RECORDED + 1
"""Weights in the trajectory that stands in for recorded ones."""

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
        return seconds_window + self.seconds_real + step * self.plain_steps / max(1, self.outer_steps)


def plan_run(
    recipe: Recipe,
    dataset: Data,
    memories: Sequence[Memory | Budget | str] | None = None,
    device: torch.device | str = "cpu",
) -> RunPlan:
    """Measure the parts of an outer step, and add them up. Nothing is written.

    With `outer.minutes` the totals are those of `outer.steps` steps all the same.

    Args:
        recipe: the whole run.
        dataset: its log or text.
        memories: strategies for the window, as for `farzi.unroll.plan`; the recipe's is always among them.
        device: where it is to be distilled.

    Raises:
        FarziError: parts of the recipe do not fit each other, or the data is too small.
        ValueError: nothing fits in the bytes given.
    """
    check_parts(recipe)
    initial = initialise(recipe, dataset).to(device)
    vocabulary, length = len(dataset.vocabulary), recipe.summary.length
    model = make_model(recipe.student, vocabulary, length, recipe.seed, device)
    weights = NextEvent(model).parameters_of(model)  # any will do
    steps = 0

    def count(loss: Any, theta: Theta, data: Any, optimizer: Any, batches: Any, **rest: Any) -> Trained:
        nonlocal steps
        steps += len(batches)
        taken = 0 if rest["state"] is None else rest["state"].step
        return Trained(theta, State(taken + len(batches), ()))

    loop = OuterLoop(recipe, dataset, initial, [[weights] * TRAJECTORY], count)
    replicas = loop.students[0].replicas
    theta = replicas.join([weights] * replicas.count)
    execution, because = chosen_execution(recipe, model)
    name, feed_because = chosen_soft_inputs(recipe.inner, initial)
    episode = _rehearse(loop)
    plain_steps = steps
    adjoint: Any = loop.adjoint
    memory = getattr(adjoint, "memory", adjoint)
    with torch.no_grad():
        inputs = loop.soft_inputs(initial)
    data = with_leaves(inputs, [leaf.clone().requires_grad_() for leaf in tree_leaves(inputs)])
    window = plan(
        replicas.inner,
        theta,
        data,
        episode.optimizer,
        episode.batches,
        _with_used(MEMORIES if memories is None else memories, memory),
        execution=loop.execution,
        calibrate=ROUNDS,
    )
    rng = np.random.default_rng(recipe.seed)
    teach = recipe.teach
    batch = windows_per_step(teach, dataset.train, length)
    windows = torch.from_numpy(crops(dataset.train, length, batch, rng)).to(device)
    task = task_of(dataset, recipe.select.seen)
    train_step = (window.calibration.seconds_gradient + window.calibration.seconds_update) / replicas.count
    seconds = partial(_seconds, device=initial.device)
    evaluation = seconds(lambda: task.evaluate(model, dataset.valid), rounds=1)
    validations = 1 + -(-recipe.outer.steps // recipe.select.every)
    real = seconds(lambda: _gradient(lambda one: replicas.loss.at(one, windows), weights))
    rehearsed = min(recipe.outer.steps, REHEARSED)
    return RunPlan(
        window=window,
        used=memory,
        execution=execution,
        because=because,
        feed=name,
        feed_because=feed_because,
        summary_bytes=bytes_of(tree_leaves(inputs)),
        plain_steps=round(plain_steps * recipe.outer.steps / max(1, rehearsed)),
        seconds_real=seconds(lambda: _outside(recipe, initial, loop, episode, theta)),
        outer_steps=recipe.outer.steps,
        validations=validations,
        seconds_validation=recipe.select.students * (recipe.inner.steps * train_step + evaluation),
        seconds_reference_step=real + evaluation / teach.validate_every,
        reference_steps=len(full_trainings(recipe)) * teach.max_steps,
    )


def _with_used(memories: Sequence[Memory | Budget | str], used: Memory) -> Sequence[Memory | Budget | str]:
    return memories if used in memories else [used, *memories]


def _rehearse(loop: OuterLoop) -> Episode:
    """Draw the episodes of the run, at most `REHEARSED` of them; one of the recipe's own student.

    If none of these is that student's, the draws continue until one is.
    """
    steps, step, own = min(loop.recipe.outer.steps, REHEARSED), 0, None
    while step < steps or own is None:
        episode = loop.objective.episode(loop, step)
        if own is None and episode.inner == loop.students[0].replicas.inner:
            own = episode
        if episode.finish is not None:
            taken = (0 if episode.state is None else episode.state.step) + len(episode.batches)
            episode.finish(InnerRun(episode.theta, State(taken, ()), episode.started_at))
        step += 1
    return own


def _outside(
    recipe: Recipe, initial: SummaryTensors, loop: OuterLoop, episode: Episode, theta: Theta
) -> None:
    """What an outer step does before and after its window, besides the optimizer's step."""
    made = loop.parametrization.parts(initial)
    parts = {name: part.requires_grad_() for name, part in made.items()}
    leaves = tree_leaves(loop.soft_inputs(loop.parametrization.summary(parts, initial.temperature)))
    torch.autograd.grad(leaves, list(parts.values()), [torch.ones_like(leaf) for leaf in leaves])
    _gradient(episode.outer, theta)


def _gradient(loss: Callable[[Theta], Tensor], theta: Theta) -> None:
    leaves = {name: value.detach().requires_grad_() for name, value in theta.items()}
    torch.autograd.grad(loss(leaves), list(leaves.values()))


def _seconds(operation: Callable[[], Any], device: torch.device, rounds: int = ROUNDS) -> float:
    """Of a call after the first; a median."""
    operation()
    return median(timed(operation, device) for _ in range(rounds))
