"""One student trained on the full data: the summary's measure, and weights that inner runs may begin with."""

from dataclasses import dataclass, field, replace

import numpy as np

from farzi.data import Data
from farzi.distillation.weights import Theta
from farzi.evaluation import Seen, kind_of
from farzi.recipe import Recipe, StudentSettings
from farzi.students import Student
from farzi.training import EventTraining, NextEvent, make_student, train_on_events

KEPT = 20
"""Weights on the way of a training that inner runs may begin with, at most."""

TRAJECTORIES = 5
"""Full-data trainings whose trajectories are matched, where the recipe does not say."""


@dataclass(frozen=True)
class Reference:
    """A full-data training.

    Attributes:
        figures: its validation metrics.
        seconds: what it took.
        trajectory: its weights at the first measurements, in their order.
        others: the trajectories of further trainings, each from its own first weights.
        student: as trained; None where the training was in an earlier session.
    """

    figures: dict[str, float]
    seconds: float
    trajectory: list[Theta] = field(default_factory=list)
    others: list[list[Theta]] = field(default_factory=list)
    student: Student | None = None

    @property
    def trajectories(self) -> list[list[Theta]]:
        """Of all trainings; none where none is kept."""
        return [self.trajectory, *self.others] if self.trajectory else []


def trainings(recipe: Recipe) -> int:
    """How many full-data trainings a recipe's run needs."""
    return (recipe.outer.trajectories or TRAJECTORIES) if recipe.outer.objective == "trajectories" else 1


def needs_trajectories(recipe: Recipe) -> bool:
    """Whether weights on the way of full-data trainings are needed."""
    return recipe.outer.objective == "trajectories" or recipe.inner.weights != "fresh"


def recipe_reference(recipe: Recipe, dataset: Data) -> Reference:
    """The full-data training of a recipe's run, and its further ones, with their trajectories if needed.

    Where trajectories are what is matched, they begin at the first weights of all.
    """
    seeds = [
        recipe.seed,
        *(
            int(np.random.default_rng([recipe.seed, 5, k]).integers(2**62))
            for k in range(1, trainings(recipe))
        ),
    ]
    first, *others = [
        train_reference(
            dataset,
            recipe.student,
            recipe.summary.length,
            seed,
            recipe.outer.seen,
            EventTraining(),
            KEPT if needs_trajectories(recipe) else 0,
            recipe.outer.objective == "trajectories",
        )
        for seed in seeds
    ]
    return replace(first, others=[one.trajectory for one in others])


def train_reference(
    dataset: Data,
    settings: StudentSettings,
    length: int,
    seed: int,
    seen: Seen,
    training: EventTraining,
    keep: int = 0,
    from_start: bool = False,
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
        from_start: keep the first weights as well.
    """
    kind = kind_of(dataset, seen)
    trajectory: list[Theta] = []
    if from_start:
        student = make_student(settings, len(dataset.vocabulary), length, seed)
        trajectory.append(NextEvent(student).parameters_of(student))
        keep += 1

    def score(student: Student) -> float:
        if len(trajectory) < keep:
            theta = NextEvent(student).parameters_of(student)
            trajectory.append({name: value.clone() for name, value in theta.items()})
        return kind.score(student, dataset.valid)

    fit = train_on_events(dataset.train, settings, len(dataset.vocabulary), length, seed, training, score)
    figures = kind.evaluate(fit.student, dataset.valid).means()
    return Reference(figures, fit.seconds, trajectory, student=fit.student)
