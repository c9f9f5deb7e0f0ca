"""Tuning of training on real events by the validation data: one setting after the other.

Each is tuned at the best values of the others. The settings and the values that are tried are `teach.grid` of
the recipe. The whole grid would be their product; along one setting after the other it is their sum. Every
training is of one seed and is validated on all validation data; the test data are not used.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from farzi.data import Sequences
from farzi.data.fingerprint import checksum
from farzi.errors import FarziError
from farzi.evaluation.kept import Measured
from farzi.evaluation.metrics import aligned
from farzi.evaluation.trials import Pick, Trials
from farzi.progress import time_text
from farzi.recipe import Grid, Recipe
from farzi.recipe.explain import explain
from farzi.recipe.variants import Custom

PLACES = {
    "learning_rate": "optimizer",
    "weight_decay": "optimizer",
    "dropout": "teach",
    "hidden": "model",
    "layers": "model",
    "length": "length",
}
"""Where each setting of a grid is."""
AXES = tuple(PLACES)
ALONE = tuple(axis for axis, place in PLACES.items() if place in ("optimizer", "teach"))
"""Settings of the training alone, which change neither model nor history."""
FOUND = ("score", "seconds", "steps")


V = TypeVar("V", bound=BaseModel)


@dataclass(frozen=True)
class Tried:
    """A training of a tuning.

    Attributes:
        settings: the tuned settings, by name.
        score: on the validation data, higher is better.
        seconds: of the training.
        steps: of the training.
    """

    settings: Mapping[str, Any]
    score: float
    seconds: float
    steps: int


@dataclass(frozen=True, eq=False, repr=False)
class Tuning:
    """What was tried, and the trials with the best settings. `print` gives a table.

    Attributes:
        trials: with the best model, history and training.
        tried: all trainings, in their order.
    """

    trials: Trials
    tried: tuple[Tried, ...]

    @property
    def best(self) -> Tried | None:
        """The training with the best score, the first of equal ones; None if there was nothing to choose."""
        return max(self.tried, key=lambda one: one.score, default=None)

    def recipe(self, recipe: Recipe) -> Recipe:
        """A recipe with the best model, history and training on real events, and nothing left to tune."""
        best = {"model": self.trials.student, "length": self.trials.length}
        teach = self.trials.teach.model_copy(update={**best, "grid": Grid(learning_rate=())})
        return recipe.model_copy(update={"teach": teach})

    def __str__(self) -> str:
        """A table with a line for each training, the best one marked."""
        if self.best is None:
            return "nothing to choose: no setting of teach.grid has two values"
        names = list(self.best.settings)
        rows = [
            [
                *(f"{one.settings[name]:g}" for name in names),
                self.trials.task.score_text(one.score),
                f"{one.steps:,}",
                time_text(one.seconds),
                "best" if one is self.best else "",
            ]
            for one in self.tried
        ]
        columns = [name.replace("_", " ") for name in names]
        return aligned([*columns, "validation", "steps", "time", ""], rows)

    __repr__ = __str__


def tune(trials: Trials, name: str, pick: Pick, axes: Collection[str] = AXES) -> Tuning:
    """The best settings of `trials.teach.grid` on the validation data.

    A setting with one value has that; nothing is trained where there is nothing to choose.

    Args:
        trials: how models are trained and measured; `kept` has the trainings that were finished before.
        name: of the data, for reports.
        pick: the training sequences for a seed.
        axes: the settings of the grid that are tuned.

    Raises:
        FarziError: a setting of the grid is none of the model or of the optimizer.
    """
    grid = values_of(trials.teach.grid, axes)
    single = {axis: values[0] for axis, values in grid.items() if len(values) == 1}
    settings = {axis: value_of(trials, axis) for axis in grid} | single
    seed, total = trials.first_seed - 1, trainings_of(trials.teach.grid, axes)
    log, known = pick(seed), dict[tuple[Any, ...], Tried]()

    def tried(axis: str, values: Collection[Any]) -> list[Tried]:
        mine = {tuple(one.values()): one for one in (settings | {axis: value} for value in values)}
        new = {key: one for key, one in mine.items() if key not in known}
        texts = [f"{name}: tuning, {k} of at most {total}" for k in range(len(known) + 1, total + 1)]
        jobs = [_job(trials, one, text, log, seed) for one, text in zip(new.values(), texts)]
        for (key, one), found in zip(new.items(), trials.kept.several(jobs), strict=True):
            score, seconds, steps = (found[part][0] for part in FOUND)
            known[key] = Tried(one, float(score), float(seconds), int(steps))
        return [known[key] for key in mine]

    for axis, values in grid.items():
        if len(values) > 1:
            before = known.get(tuple(settings.values()))  # stays, if it is better than all values tried
            candidates = [*([before] if before else ()), *tried(axis, values)]
            settings = dict(max(candidates, key=lambda one: one.score).settings)
    return Tuning(changed(trials, settings), tuple(known.values()))


def values_of(grid: Grid, axes: Collection[str] = AXES) -> dict[str, tuple[Any, ...]]:
    """The different values by setting, of settings that have some."""
    return {axis: tuple(dict.fromkeys(values)) for axis, values in grid if axis in axes and values}


def trainings_of(grid: Grid, axes: Collection[str] = AXES) -> int:
    """The trainings that a tuning takes at most."""
    return sum(len(values) for values in values_of(grid, axes).values() if len(values) > 1)


def _job(
    trials: Trials, settings: Mapping[str, Any], text: str, log: Sequences, seed: int
) -> tuple[dict[str, Any], Callable[[], Measured]]:
    """A training, and what it depends on."""
    mine = changed(trials, settings)

    def work() -> Measured:
        words = ", ".join(f"{axis.replace('_', ' ')} {value:g}" for axis, value in settings.items())
        trials.progress(f"{text}: {words}")
        fit = mine.fit(log, seed)
        score = mine.task.score(fit.model, mine.dataset.valid)
        return {name: np.array([one]) for name, one in zip(FOUND, (score, fit.seconds, fit.steps))}

    return {"tuned on": checksum(log), **mine.training, "seed": seed}, work


def value_of(trials: Trials, axis: str) -> Any:
    """The present value of a setting of a grid."""
    place = PLACES[axis]
    if place == "length":
        return trials.length
    owner = {"optimizer": trials.teach.optimizer, "teach": trials.teach, "model": trials.student}[place]
    if not hasattr(owner, axis):
        what = f"{getattr(owner, 'type', 'teach')} has no {axis}"
        raise FarziError(f"teach.grid.{axis}: {what}; leave it out of the grid")
    return getattr(owner, axis)


def changed(trials: Trials, settings: Mapping[str, Any]) -> Trials:
    """The same with other settings of a grid."""
    by_place: dict[str, dict[str, Any]] = {"optimizer": {}, "teach": {}, "model": {}, "length": {}}
    for axis, value in settings.items():
        by_place[PLACES[axis]][axis] = value
    teach = trials.teach
    optimizer = _with(teach.optimizer, by_place["optimizer"])
    student = _with(trials.student, by_place["model"])
    length = by_place["length"].get("length", trials.length)
    teach = teach.model_copy(update={"optimizer": optimizer, **by_place["teach"]})
    return replace(trials, teach=teach, student=student, length=length)


def _with(settings: V, values: Mapping[str, Any]) -> V:
    """The same with other values; those of a built-in variant are checked against each other."""
    if isinstance(settings, Custom):
        return settings.model_copy(update=values)
    try:
        return type(settings).model_validate({**settings.model_dump(), **values})
    except ValidationError as error:
        raise FarziError(explain(error.errors()[0], "teach.grid")) from None
