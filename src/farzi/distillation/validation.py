"""Validation of a summary on fresh students, and the keeping of the best one."""

import math
from dataclasses import dataclass

import numpy as np

from farzi.data import Data
from farzi.evaluation import kind_of, metric_of
from farzi.recipe import Recipe
from farzi.summary import Summary
from farzi.training import train_on_summary


@dataclass(frozen=True)
class Validation:
    """Metrics of students trained from scratch on a summary, on the validation events or text.

    Attributes:
        figures: mean over the students.
        relative: each metric's ratio to the full data's, nan where that is 0.
    """

    figures: dict[str, float]
    relative: dict[str, float]

    @property
    def score(self) -> float:
        """What decides which summary is best: the mean gain of the judged metrics, where defined, else 0."""
        judged = {name: ratio for name, ratio in self.relative.items() if metric_of(name).judged}
        gains = [metric_of(name).gain(ratio) for name, ratio in judged.items() if not math.isnan(ratio)]
        return float(np.mean(gains)) if gains else 0.0


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
    totals: dict[str, list[float]] = {}
    for k in range(recipe.outer.validate_students):
        student = train_on_summary(summary, recipe.student, recipe.inner, seed=_seed(recipe.seed, k)).student
        for name, value in kind.evaluate(student, dataset.valid).means().items():
            totals.setdefault(name, []).append(value)
    figures = {name: float(np.mean(values)) for name, values in totals.items()}
    return Validation(
        figures, {name: figures[name] / full[name] if full[name] > 0 else math.nan for name in figures}
    )


def _seed(seed: int, student: int) -> int:
    return int(np.random.default_rng([seed, 2, student]).integers(2**62))
