"""One student trained on the full data: the summary's measure, and weights that inner runs may begin with."""

from dataclasses import dataclass, field

from farzi.data import Data
from farzi.distillation.weights import Theta
from farzi.evaluation import Seen, kind_of
from farzi.recipe import Recipe, StudentSettings
from farzi.students import Student
from farzi.training import EventTraining, NextEvent, train_on_events

KEPT = 20
"""Weights on the way of a training that inner runs may begin with, at most."""


@dataclass(frozen=True)
class Reference:
    """A full-data training.

    Attributes:
        figures: its validation metrics.
        seconds: what it took.
        trajectory: its weights at the first measurements, in their order.
    """

    figures: dict[str, float]
    seconds: float
    trajectory: list[Theta] = field(default_factory=list)


def recipe_reference(recipe: Recipe, dataset: Data) -> Reference:
    """The full-data training of a recipe's run, with a trajectory where its inner runs begin on one."""
    keep = 0 if recipe.inner.weights == "fresh" else KEPT
    length, seen = recipe.summary.length, recipe.outer.seen
    return train_reference(dataset, recipe.student, length, recipe.seed, seen, EventTraining(), keep)


def train_reference(
    dataset: Data,
    settings: StudentSettings,
    length: int,
    seed: int,
    seen: Seen,
    training: EventTraining,
    keep: int = 0,
) -> Reference:
    """Train on all training events until validation gets no better.

    Args:
        dataset: the log or the text.
        settings: the architecture.
        length: events in a window.
        seed: of the first weights and of the windows drawn.
        seen: the treatment of seen items in the ranking.
        training: step size, batch and patience.
        keep: how many measurements' weights are kept as a trajectory.
    """
    kind = kind_of(dataset, seen)
    trajectory: list[Theta] = []

    def score(student: Student) -> float:
        if len(trajectory) < keep:
            theta = NextEvent(student).parameters_of(student)
            trajectory.append({name: value.clone() for name, value in theta.items()})
        return kind.score(student, dataset.valid)

    fit = train_on_events(dataset.train, settings, len(dataset.vocabulary), length, seed, training, score)
    return Reference(kind.evaluate(fit.student, dataset.valid).means(), fit.seconds, trajectory)
