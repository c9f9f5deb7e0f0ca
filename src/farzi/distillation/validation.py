"""Validation of a summary on fresh students, and the keeping of the best one."""

import math
from dataclasses import dataclass

import numpy as np

from farzi.data import Dataset
from farzi.evaluation import evaluate
from farzi.recipe import Recipe
from farzi.summary import Summary
from farzi.training import train_on_summary

# Not the top-10 figures, which count few hits (HR@10 some 120 of MovieLens-100k's 943 users, HR@100 some
# 530): the best of many validations would be the luckiest. In the second half of a run on MovieLens-100k the
# mean of the ratios of HR@10, nDCG@10 and HR@100 moved by 2.7 points (root mean square) from one validation
# to the next, the mean of these two by 0.5. nDCG@100 still weighs the top.
JUDGED = ("nDCG@100", "HR@100")
"""The metrics whose ratios to the full data's are averaged to choose the best summary."""


@dataclass(frozen=True)
class Validation:
    """Metrics of students trained from scratch on a summary, on the validation events.

    Attributes:
        figures: mean over the students.
        relative: each metric's ratio to the full data's, nan where that is 0.
    """

    figures: dict[str, float]
    relative: dict[str, float]

    @property
    def score(self) -> float:
        """What decides which summary is best: the mean of those `JUDGED` ratios that are defined, else 0."""
        ratios = [self.relative[name] for name in JUDGED if not math.isnan(self.relative[name])]
        return float(np.mean(ratios)) if ratios else 0.0


def validate(summary: Summary, dataset: Dataset, recipe: Recipe, full: dict[str, float]) -> Validation:
    """Train `recipe.outer.validate_students` students from scratch and test them on the validation events.

    The same students' first weights serve at every validation, so that figures of one run can be compared.

    Args:
        summary: what they are trained on.
        dataset: gives the validation events.
        recipe: the student, its training, and how many.
        full: the full data's figures by name, between 0 and 1.
    """
    totals: dict[str, list[float]] = {}
    for k in range(recipe.outer.validate_students):
        student = train_on_summary(summary, recipe.student, recipe.inner, seed=_seed(recipe.seed, k)).student
        for name, value in evaluate(student, dataset.valid, recipe.outer.seen).means().items():
            totals.setdefault(name, []).append(value)
    figures = {name: float(np.mean(values)) for name, values in totals.items()}
    return Validation(
        figures, {name: figures[name] / full[name] if full[name] > 0 else math.nan for name in figures}
    )


def _seed(seed: int, student: int) -> int:
    return int(np.random.default_rng([seed, 2, student]).integers(2**62))
