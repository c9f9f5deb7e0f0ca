"""What rows cost, before they are done: distillations, trainings, seconds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from farzi.distillation import RunPlan, plan_run
from farzi.errors import FarziError
from farzi.recipe import Recipe
from farzi.training import EventTraining
from research.studies.bench import Bench
from research.studies.study import Ask, Row
from research.studies.vary import varied

REAL_STEPS = 1000
"""Steps that a training on real events is expected to take; when it ends is not known beforehand."""

INDIFFERENT = {
    "seed": 0,
    "summary.temperature": 1.0,
    "summary.start": "random",
    "summary.classes": None,
    "summary.teachers": (),
    "inner.learning_rate": 0.01,
    "inner.epsilon": 1e-5,
    "inner.weights": "fresh",
    "inner.execution": "graph",
    "outer.learning_rate": 0.03,
    "outer.minutes": None,
}
"""Settings that change little in what a step of a recipe takes; the graph stands for the compiled one."""


@dataclass(frozen=True)
class Price:
    """What some rows take.

    Attributes:
        rows: how many.
        distillations: that have to be done; rows may share them.
        trainings: on real events, those that choose learning rates and those that distillations begin with
            included; distillations may share them.
        seconds: of all of these, roughly: what students take on summaries, and to be tested, is not in it.
    """

    rows: int
    distillations: int
    trainings: int
    seconds: float


def price(rows: Sequence[Row], bench: Bench, training: EventTraining | None = None) -> Price:
    """Add up what rows take. A few steps of each recipe are run to measure them; nothing is written.

    Args:
        rows: those that are left.
        bench: the data, and the summaries that are there already.
        training: on real events.
    """
    steps = min(REAL_STEPS, (training or EventTraining()).steps)
    real: list[Ask] = []
    wanted: dict[tuple[Ask, int], None] = {}
    for row in rows:
        demand = row.work.demand
        real += [*demand.tuning, *(row.seeds * demand.real)]
        for ask in demand.distil:
            wanted |= dict.fromkeys((ask, number) for number in range(min(row.seeds, row.summaries)))
    todo: list[Ask] = []
    references: dict[Path, Ask] = {}
    for ask, number in wanted:
        dataset = bench.data(ask.recipe.data, ask.source, number)
        if not bench.has(ask.recipe, number, dataset):
            todo.append(ask)
            references |= dict.fromkeys(bench.references(ask.recipe, number, dataset), ask)
    real += [ask for path, ask in references.items() if not path.exists()]
    seconds = sum(steps * _or_nothing(_step, ask, bench) for ask in real)
    seconds += sum(_or_nothing(_distilling, ask, bench) for ask in todo)
    return Price(len(rows), len(todo), len(real), seconds)


def _or_nothing(seconds: Callable[[Ask, Bench], float], ask: Ask, bench: Bench) -> float:
    """What a recipe takes; nothing where it cannot be done on these data, which its row will tell."""
    try:
        return seconds(ask, bench)
    except FarziError:
        return 0.0


def _step(ask: Ask, bench: Bench) -> float:
    return planned(ask, bench).seconds_reference_step


def _distilling(ask: Ask, bench: Bench) -> float:
    """Seconds of a distillation, its training on the full data aside."""
    outer = ask.recipe.outer
    if outer.minutes is not None:
        return 60 * outer.minutes
    plan = planned(ask, bench)
    (window,) = (row for row in plan.window.rows if row.memory == plan.used)
    return outer.steps * plan.seconds_outer(window.seconds) + plan.validations * plan.seconds_validation


def planned(ask: Ask, bench: Bench) -> RunPlan:
    """What an outer step of a recipe takes, measured once for all recipes that take as long."""
    alike: Recipe = varied(ask.recipe, INDIFFERENT)
    return bench.once(("plan", alike, ask.source), lambda: _measured(Ask(alike, ask.source), bench))


def _measured(ask: Ask, bench: Bench) -> RunPlan:
    bench.doing("measuring a few steps")
    return plan_run(ask.recipe, bench.data(ask.recipe.data, ask.source, 0), device=bench.device)
