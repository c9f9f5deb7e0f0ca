"""Validation of a summary on fresh students, and the keeping of the best one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from farzi.data import Data
from farzi.evaluation import Figures, jackknife_interval, kind_of, metric_of
from farzi.recipe import Recipe
from farzi.summary import Summary
from farzi.training import train_on_summary


@dataclass(frozen=True)
class Validation:
    """Metrics of students trained from scratch on a summary, on the validation events or text.

    Attributes:
        figures: mean over the students.
        relative: each metric's ratio to the full data's, nan where that is 0.
        without: the score without each of the units (users of a log, passages of a text), (units,).
    """

    figures: dict[str, float]
    relative: dict[str, float]
    without: np.ndarray = field(default_factory=lambda: np.zeros(0), compare=False, repr=False)

    @property
    def score(self) -> float:
        """What decides which summary is best: the mean gain of the judged metrics, where defined, else 0."""
        gains = [metric_of(name).gain(self.relative[name]) for name in _judged(self.relative)]
        return float(np.mean(gains)) if gains else 0.0

    def clear_of(self, other: "Validation") -> bool:
        """Whether its score is above another's, and the 95 % interval of the difference clear of 0.

        Both were measured on the same units, of which other ones might have been held out.
        """
        apart = self.score - other.score
        return jackknife_interval(apart, self.without - other.without).low > 0


def validate(summary: Summary, dataset: Data, recipe: Recipe, full: dict[str, float]) -> Validation:
    """Train `recipe.outer.validate_students` students from scratch and test them on the validation events.

    The same students' first weights serve at every validation, so that figures of one run can be compared.

    Args:
        summary: what they are trained on.
        dataset: gives the validation events or text.
        recipe: the student, its training, and how many.
        full: the full data's figures by name.
    """
    kind = kind_of(dataset, recipe.outer.seen)
    measured = []
    for k in range(recipe.outer.validate_students):
        student = train_on_summary(summary, recipe.student, recipe.inner, seed=_seed(recipe.seed, k)).student
        measured.append(kind.evaluate(student, dataset.valid))
    means = [one.means() for one in measured]
    figures = {name: float(np.mean([one[name] for one in means])) for name in means[0]}
    relative = {name: figures[name] / full[name] if full[name] > 0 else math.nan for name in figures}
    return Validation(figures, relative, _without(measured, {name: full[name] for name in _judged(relative)}))


def _judged(relative: Mapping[str, float]) -> list[str]:
    """The metrics that make the score, of those whose ratio is defined."""
    return [name for name, ratio in relative.items() if metric_of(name).judged and not math.isnan(ratio)]


def _without(measured: Sequence[Figures], full: Mapping[str, float]) -> np.ndarray:
    """The score without each of the units, (units,).

    Args:
        measured: figures of each student.
        full: the full data's, of the metrics that make the score.
    """
    gains = []
    for name, whole in full.items():
        of, units = metric_of(name), np.stack([one.per_unit[name] for one in measured])
        others = (units.sum(1, keepdims=True) - units) / max(1, units.shape[1] - 1)  # (students, units)
        gains.append(of.gain(of.figure(others).mean(0) / whole))
    count = len(next(iter(measured[0].per_unit.values())))
    return np.mean(gains, axis=0) if gains else np.zeros(count)


def _seed(seed: int, student: int) -> int:
    return int(np.random.default_rng([seed, 2, student]).integers(2**62))
