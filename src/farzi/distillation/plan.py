"""What a distillation will take, from its recipe and its data, before it begins."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch

from farzi.data import Data
from farzi.distillation.check import check_parts
from farzi.distillation.initialise import initialise
from farzi.distillation.inner import chosen_execution
from farzi.distillation.refine import OuterLoop
from farzi.distillation.teach import RECORDED, full_trainings
from farzi.evaluation import task_of
from farzi.recipe import Recipe
from farzi.summary import chosen_soft_inputs
from farzi.surroundings import undisturbed
from farzi.training import NextEvent, train_on_events
from farzi.unroll import Budget, Memory, Plan, PlanRow, plan
from farzi.unroll.diagnostics.calibration import timed
from farzi.unroll.diagnostics.plan import MEMORIES
from farzi.unroll.trees import tree_leaves, with_leaves

ROUNDS = 3
"""How often an outer step is timed, and steps of a training on the full data."""


@dataclass(frozen=True)
class RunPlan:
    """What a distillation will take: the measured seconds of its parts, and how many there are of each."""

    teach_step: float  # seconds of a step on the full data, its share of the validations included
    teach_steps: int  # at most; a training ends when the validation gets no better
    initialise: float  # seconds of the initial summary
    inner_step: float  # seconds of an inner step that is not differentiated
    outer_step: float  # seconds of an outer step
    outer_steps: int
    validation: float  # seconds of a validation of the summary
    validations: int  # that of the initial summary included
    window: Plan  # bytes and seconds of an outer step's differentiated steps, by memory strategy
    used: Memory  # the strategy that the distillation uses
    execution: tuple[str, str]  # how steps are carried out, "eager", "graph" or "compiled", and why
    soft_inputs: tuple[str, str]  # how the summary is read, "materialized" or "factored", and why

    @property
    def row(self) -> PlanRow:
        """The differentiated steps with the strategy that is used."""
        return next(row for row in self.window.rows if row.memory == self.used and row.budget is None)

    @property
    def bytes(self) -> int:
        """Most bytes that an outer step adds to the process, or to the device."""
        return self.row.peak_bytes if self.row.resident_bytes is None else self.row.resident_bytes

    @property
    def seconds(self) -> float:
        """Of the whole run, with as many steps on the full data as there can be."""
        refine, select = self.outer_steps * self.outer_step, self.validations * self.validation
        return self.teach_steps * self.teach_step + self.initialise + refine + select

    def outer_step_with(self, row: PlanRow) -> float:
        """Seconds of an outer step with another memory strategy."""
        return max(row.seconds, self.outer_step + row.seconds - self.row.seconds)

    def lines(self) -> list[str]:
        """The parts and their total, a line each."""
        parts = [
            ("teach: at most", self.teach_steps, "steps on the full data", self.teach_step),
            ("initialise:", 1, "initial summary", self.initialise),
            ("refine:", self.outer_steps, "outer steps", self.outer_step),
            ("select:", self.validations, "validations", self.validation),
        ]
        lines = [f"{stage} {n:,} {what} of {each:.2g} s, {n * each:,.0f} s" for stage, n, what, each in parts]
        return [*lines, f"total: at most {self.seconds:,.0f} s, and {self.bytes / 2**20:,.0f} MiB in a step"]


@undisturbed()
def plan_run(
    recipe: Recipe,
    dataset: Data,
    memories: Sequence[Memory | Budget | str] = MEMORIES,
    device: torch.device | str = "cpu",
) -> RunPlan:
    """Run and measure a few steps of each part, and add them up. Nothing is written.

    With `outer.minutes` the total is that of `outer.steps` steps all the same.

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
    device = torch.device(device)
    begun = time.perf_counter()
    initial = initialise(recipe, dataset).to(device)
    seconds = time.perf_counter() - begun
    task, teach = task_of(dataset, recipe.select.seen), recipe.teach.model_copy(update={"max_steps": ROUNDS})
    size = (len(dataset.vocabulary), recipe.summary.length, recipe.seed)
    trained = train_on_events(dataset.train, recipe.student, *size, teach, lambda model: 0.0, device)
    evaluation = timed(lambda: task.evaluate(trained.model, dataset.valid), device)
    weights = NextEvent(trained.model).parameters_of(trained.model)  # stands in for recorded ones
    # one run, so that its burn-in, which many windows share, is in the first step alone
    pool = min(1, recipe.outer.pool)
    single = recipe.changed({"outer.pool": pool, "outer.students": ()})
    loop = OuterLoop(single, dataset, initial, [[weights] * (RECORDED + 1)])
    outer_step = median([timed(lambda: loop.take_step(0.0), device) for _ in range(1 + ROUNDS)][1:])

    episode = loop.objective.episode(loop, loop.step)
    with torch.no_grad():
        inputs = loop.soft_inputs(initial)
    memory = getattr(loop.adjoint, "memory", loop.adjoint)
    window = plan(
        episode.inner,
        episode.begin.theta,
        with_leaves(inputs, [leaf.clone().requires_grad_() for leaf in tree_leaves(inputs)]),
        episode.optimizer,
        episode.batches,
        memories if memory in memories else [memory, *memories],
        execution=loop.execution,
        calibrate=ROUNDS,
    )
    calibration = window.calibration
    inner_step = (calibration.seconds_gradient + calibration.seconds_update) / recipe.outer.replicas
    return RunPlan(
        teach_step=trained.seconds / trained.steps + evaluation / teach.validate_every,
        teach_steps=len(full_trainings(recipe)) * recipe.teach.max_steps,
        initialise=seconds,
        inner_step=inner_step,
        outer_step=outer_step,
        outer_steps=recipe.outer.steps,
        validation=recipe.select.students * (recipe.inner.steps * inner_step + evaluation),
        validations=1 + -(-recipe.outer.steps // recipe.select.every),
        window=window,
        used=memory,
        execution=chosen_execution(recipe, loop.pools[0].replicas.loss.student),
        soft_inputs=chosen_soft_inputs(recipe.inner, initial),
    )
