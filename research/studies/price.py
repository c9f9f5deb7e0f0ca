"""What rows cost, before they are measured: distillations, trainings, seconds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from farzi.distillation import RunPlan, plan_run
from farzi.errors import FarziError
from research.studies.bench import Bench
from research.studies.study import Job, Row

REAL_STEPS = 1000
"""Steps assumed for a training on real events; early stopping decides how many it takes."""

SAME_COST = {
    "seed": 0,
    "summary.temperature": 1.0,
    "init": {"type": "random"},
    "outer.weights": {"type": "fresh"},
    "outer.execution": "graph",
    "outer.learning_rate": 0.03,
    "outer.minutes": None,
}
"""Settings with little effect on the time of a step; the traced graph stands for the compiled one."""

SAME_COST_INSIDE = {"learning_rate": 0.01, "epsilon": 1e-5}
"""The same of the inner optimizer."""


@dataclass(frozen=True)
class Price:
    """What some rows cost.

    Attributes:
        rows: how many.
        distillations: still to be done; rows may share them.
        trainings: on real events, those that choose learning rates and those that distillations start with
            included; distillations may share them.
        seconds: of all of these, roughly, without trainings on summaries and tests.
    """

    rows: int
    distillations: int
    trainings: int
    seconds: float


def price(rows: Sequence[Row], bench: Bench) -> Price:
    """Add up what rows cost. A few steps of each recipe are run and timed; nothing is written.

    Args:
        rows: those that are left.
        bench: the data, and the summaries that exist.
    """
    real: list[Job] = []
    wanted: dict[tuple[Job, int], None] = {}
    for row in rows:
        demand = row.work.demand
        real += [*demand.tuning, *(row.seeds * demand.real)]
        for one in demand.distil:
            wanted |= dict.fromkeys((one, number) for number in range(min(row.seeds, row.summaries)))
    todo: list[Job] = []
    full_data: dict[Path, Job] = {}
    for one, number in wanted:
        dataset = bench.data(one.recipe.data, one.source, number)
        if not bench.has(one.recipe, number, dataset):
            todo.append(one)
            full_data |= dict.fromkeys(bench.full_data_paths(one.recipe, number, dataset), one)
    real += [one for path, one in full_data.items() if not path.exists()]
    seconds = sum(_or_nothing(_training, one, bench) for one in real)
    seconds += sum(_or_nothing(_distilling, one, bench) for one in todo)
    return Price(len(rows), len(todo), len(real), seconds)


def _or_nothing(seconds: Callable[[Job, Bench], float], one: Job, bench: Bench) -> float:
    """The seconds; 0 where the recipe cannot be run on these data, which its row will report."""
    try:
        return seconds(one, bench)
    except FarziError:
        return 0.0


def _training(one: Job, bench: Bench) -> float:
    """Seconds of a training on real events."""
    return min(REAL_STEPS, one.recipe.teach.max_steps) * planned(one, bench).teach_step


def _distilling(one: Job, bench: Bench) -> float:
    """Seconds of a distillation without its full-data trainings."""
    outer = one.recipe.outer
    if outer.minutes is not None:
        return 60 * outer.minutes
    plan = planned(one, bench)
    return outer.steps * plan.outer_step + plan.validations * plan.validation


def planned(one: Job, bench: Bench) -> RunPlan:
    """The plan of a recipe's run, measured once for all recipes that cost the same."""
    optimizer = one.recipe.inner.optimizer
    same = {name: value for name, value in SAME_COST_INSIDE.items() if name in optimizer.own}
    alike = one.recipe.changed({**SAME_COST, "inner.optimizer": optimizer.model_copy(update=same)})
    return bench.once(("plan", alike, one.source), lambda: _measured(Job(alike, one.source), bench))


def _measured(one: Job, bench: Bench) -> RunPlan:
    bench.doing("measuring a few steps")
    return plan_run(one.recipe, bench.data(one.recipe.data, one.source, 0), device=bench.device)
