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
from farzi.distillation.teach import RECORDED, Cache, full_trainings
from farzi.evaluation import task_of
from farzi.event_training import train_on_events
from farzi.markup import joined, table, tag
from farzi.progress import Progress, counted, time_text
from farzi.recipe import Recipe
from farzi.summary import chosen_soft_inputs
from farzi.surroundings import undisturbed
from farzi.training import NextEvent, Trained
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
    least_teach_steps: int
    initialise: float  # seconds of the initial summary
    inner_step: float  # seconds of an inner step that is not differentiated
    outer_step: float  # seconds of an outer step
    outer_steps: int  # with `minutes`, those that fit after `least_teach_steps`
    validation: float  # seconds of a validation of the summary
    validations: int  # that of the initial summary included
    window: Plan  # bytes and seconds of an outer step's differentiated steps, by memory strategy
    used: Memory  # the strategy that the distillation uses
    execution: tuple[str, str]  # how steps are carried out, "eager", "graph" or "compiled", and why
    soft_inputs: tuple[str, str]  # how the summary is read, "materialized" or "factored", and why
    minutes: float | None = None  # for the whole run, in place of a number of steps
    least_outer_steps: int = 0  # with `minutes`, those that fit after `teach_steps`

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
        """Of the whole run, with as many steps on the full data as there can be, or its `minutes`."""
        if self.minutes is not None:
            return 60 * self.minutes
        refine, select = self.outer_steps * self.outer_step, self.validations * self.validation
        return self.teach_steps * self.teach_step + self.initialise + refine + select

    def _repr_html_(self) -> str:
        """The lines for notebooks, and the memory strategies: the one that is used is set off."""
        rows = [
            (
                row.name,
                f"{(row.tape_bytes + row.host_bytes) / 2**20:,.1f}",
                f"{self.outer_step_with(row):.3g}",
            )
            for row in self.window.rows
        ]
        columns = ("memory", "MiB of the tape", "seconds of an outer step")
        strategies = table(columns, rows, None, [1, 2], [self.window.rows.index(self.row)])
        return joined([tag("ul", [tag("li", line) for line in self.lines()]), strategies])

    def outer_step_with(self, row: PlanRow) -> float:
        """Seconds of an outer step with another memory strategy."""
        return max(row.seconds, self.outer_step + row.seconds - self.row.seconds)

    def lines(self) -> list[str]:
        """The parts and their total, a line each."""
        parts = [
            ("teach: at most", self.teach_steps, "step", " on the full data", self.teach_step),
            ("initialise:", 1, "initial summary", "", self.initialise),
            ("refine:", self.outer_steps, "outer step", "", self.outer_step),
            ("select:", self.validations, "validation", "", self.validation),
        ]
        lines = [
            f"{stage} {counted(n, what)}{where} of {each:.2g} s, {time_text(n * each)}"
            for stage, n, what, where, each in parts
        ]
        memory = f"{self.bytes / 2**20:,.0f} MiB in a step"
        if self.minutes is None:
            return [*lines, f"total: at most {time_text(self.seconds)}, and {memory}"]
        least = time_text(self.least_teach_steps * self.teach_step)
        steps = f"{self.least_outer_steps:,} to {counted(self.outer_steps, 'outer step')}"
        return [
            f"{lines[0]}; at least {self.least_teach_steps:,}, {least}",
            lines[1],
            f"refine: {steps} of {self.outer_step:.2g} s fit into the rest, by the length of the trainings",
            f"select: at most {counted(self.validations, 'validation')} of {self.validation:.2g} s",
            f"total: {counted(self.minutes, 'minute')}, all of these counted, and {memory}",
        ]


@undisturbed()
def plan_run(
    recipe: Recipe,
    dataset: Data,
    memories: Sequence[Memory | Budget | str] = MEMORIES,
    device: torch.device | str = "cpu",
) -> RunPlan:
    """Run and measure a few steps of each part, and add them up. Nothing is written.

    With `outer.minutes` the outer steps are those that fit into them.

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
    trained, teach_step, evaluation = _teaching(recipe, dataset, device)
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
    inner_step = calibration.seconds_gradient + calibration.seconds_update
    validation = recipe.select.students * (recipe.inner.steps * inner_step + evaluation)
    trainings, minutes, every = len(full_trainings(recipe)), recipe.outer.minutes, recipe.select.every
    least, most = trainings * _least_steps(recipe), trainings * recipe.teach.max_steps
    steps = [recipe.outer.steps] * 2
    if minutes is not None:
        rest = [60 * minutes - taught * teach_step - seconds - validation for taught in (least, most)]
        steps = [max(0, int(one / (outer_step + validation / every))) for one in rest]
    return RunPlan(
        teach_step=teach_step,
        teach_steps=most,
        least_teach_steps=least,
        initialise=seconds,
        inner_step=inner_step,
        outer_step=outer_step,
        outer_steps=steps[0],
        validation=validation,
        validations=1 + -(-steps[0] // every),
        window=window,
        used=memory,
        execution=chosen_execution(recipe, loop.pools[0][0].loss.student),
        soft_inputs=chosen_soft_inputs(recipe.inner, initial),
        minutes=minutes,
        least_outer_steps=steps[1],
    )


def warn_of_minutes(
    recipe: Recipe, dataset: Data, cache: Cache, progress: Progress, device: torch.device | str
) -> None:
    """Warn where `outer.minutes` cannot hold the full-data trainings, so that no outer step will be taken.

    A few steps of a training are measured; those that are cached count, but nobody knows their seconds yet.
    """
    trainings, minutes = full_trainings(recipe), recipe.outer.minutes
    new = len(trainings) - cache.present(trainings, dataset)
    if minutes is None or new == 0:
        return
    seconds = new * _least_steps(recipe) * _teaching(recipe, dataset, torch.device(device))[1]
    if seconds > 60 * minutes:
        progress.warning(
            f"the full-data trainings alone will take at least {time_text(seconds)} of the "
            f"{counted(minutes, 'minute')}, so that no outer step will be taken; raise outer.minutes, or "
            "have fewer teachers"
        )


def _least_steps(recipe: Recipe) -> int:
    """The fewest steps of a training on the full data, whose first validation is the best so far."""
    return min(recipe.teach.max_steps, (1 + recipe.teach.patience) * recipe.teach.validate_every)


def _teaching(recipe: Recipe, dataset: Data, device: torch.device) -> tuple[Trained, float, float]:
    """A short training on the full data; seconds of a step, its share of validations included, and of one."""
    task, teach = task_of(dataset, recipe.select.seen), recipe.teach
    size = (len(dataset.vocabulary), recipe.full_length, recipe.seed)

    def train(steps: int) -> Trained:
        few = teach.model_copy(update={"max_steps": steps})
        return train_on_events(dataset.train, recipe.full_model, *size, few, lambda model: 0.0, device)

    train(1)  # the first one of a process takes seconds more
    trained = train(ROUNDS)
    evaluation = timed(lambda: task.evaluate(trained.model, dataset.valid), device)
    return trained, trained.seconds / trained.steps + evaluation / teach.validate_every, evaluation
