"""Full-data trainings: a summary's measure, its teachers, and weights that inner runs may begin with."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from farzi.data import Data
from farzi.data.fingerprint import fingerprint
from farzi.distillation.progress import Progress
from farzi.distillation.weights import Theta
from farzi.evaluation import Seen, kind_of
from farzi.recipe import Recipe, StudentSettings, another
from farzi.students import Student
from farzi.tensorfile import read_tensors, write_tensors
from farzi.training import EventTraining, NextEvent, make_student, train_on_events

KEPT = 20
"""Weights on the way of a training that inner runs may begin with, at most."""

TRAJECTORIES = 5
"""Full-data trainings whose trajectories are matched, where the recipe does not say."""

FORMAT = "farzi-reference-2"


@dataclass(frozen=True)
class Reference:
    """A full-data training.

    Attributes:
        figures: its validation metrics.
        seconds: what it took, and all others.
        trajectory: its weights at the first measurements, in their order.
        others: the trajectories of further trainings, each from its own first weights.
        teachers: the student of these figures as trained, then the recipe's further teachers; none where
            the training was in an earlier session of the run.
        kept: whether it was trained for another run, and only read for this one.
    """

    figures: dict[str, float]
    seconds: float
    trajectory: list[Theta] = field(default_factory=list)
    others: list[list[Theta]] = field(default_factory=list)
    teachers: tuple[Student, ...] = ()
    kept: bool = False

    @property
    def trajectories(self) -> list[list[Theta]]:
        """Of all trainings; none where none is kept."""
        return [self.trajectory, *self.others] if self.trajectory else []

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The trajectories' weights, under names by which `of_tensors` finds them."""
        return {
            f"{place}/{k}/{name}": value
            for place, trajectory in zip(_places(), self.trajectories)
            for k, theta in enumerate(trajectory)
            for name, value in theta.items()
        }

    @property
    def values(self) -> dict[str, Any]:
        """Its figures and seconds, as JSON values."""
        return {"figures": self.figures, "seconds": self.seconds}

    @staticmethod
    def of_tensors(tensors: dict[str, Tensor], values: dict[str, Any]) -> "Reference":
        """What `tensors` and `values` were taken of, but for its teachers; there may be other tensors."""
        found: list[list[Theta]] = []
        for place in _places():
            thetas: dict[str, Theta] = {}
            for name, value in tensors.items():
                if name.startswith(f"{place}/"):
                    k, _, parameter = name.removeprefix(f"{place}/").partition("/")
                    thetas.setdefault(k, {})[parameter] = value
            if found and not thetas:
                break
            found.append(list(thetas.values()))
        first, *others = found
        return Reference(values["figures"], values["seconds"], first, others)


MakeReference = Callable[[Recipe, Data, torch.device | str, Progress], Reference]
"""Gives the full-data training of a recipe's run; where it is not there yet it is done on the device."""


def _places() -> Iterator[str]:
    """What the names of the tensors of one trajectory after the other begin with."""
    return (f"trajectory{k or ''}" for k in count())


def trainings(recipe: Recipe) -> int:
    """How many full-data trainings a recipe's run needs."""
    return _matched(recipe) + len(recipe.summary.teachers)


def _matched(recipe: Recipe) -> int:
    """How many of them are of the recipe's student."""
    return (recipe.outer.trajectories or TRAJECTORIES) if recipe.outer.objective == "trajectories" else 1


def needs_trajectories(recipe: Recipe) -> bool:
    """Whether weights on the way of full-data trainings are needed."""
    return recipe.outer.objective == "trajectories" or recipe.inner.weights != "fresh"


def recipe_reference(
    recipe: Recipe, dataset: Data, device: torch.device | str = "cpu", progress: Progress | None = None
) -> Reference:
    """The full-data training of a recipe's run, its further ones with their trajectories, and its teachers'.

    Where trajectories are what is matched, they begin at the first weights of all.
    """

    def train(student: StudentSettings, seed: int, keep: int, from_start: bool) -> Reference:
        length, seen = recipe.summary.length, recipe.outer.seen
        return train_reference(
            dataset, student, length, seed, seen, EventTraining(), keep, from_start, device, progress
        )

    def seed(*of: int) -> int:
        return int(np.random.default_rng([recipe.seed, *of]).integers(2**62))

    keep, from_start = KEPT if needs_trajectories(recipe) else 0, recipe.outer.objective == "trajectories"
    seeds = [recipe.seed, *(seed(5, k) for k in range(1, _matched(recipe)))]
    first, *others = [train(recipe.student, one, keep, from_start) for one in seeds]
    further = [train(one, seed(6, k), 0, False) for k, one in enumerate(_further(recipe))]
    return replace(
        first,
        seconds=first.seconds + sum(one.seconds for one in (*others, *further)),
        others=[one.trajectory for one in others],
        teachers=first.teachers + sum((one.teachers for one in further), ()),
    )


def _further(recipe: Recipe) -> list[StudentSettings]:
    """The recipe's teachers beside its student."""
    return [another(recipe.student, name) for name in recipe.summary.teachers]


@dataclass(frozen=True)
class References:
    """Full-data trainings that are kept, so that runs which measure against the same one share it.

    A run that finds one counts its seconds as its own: how long it is does not depend on what was kept.

    Attributes:
        folder: where they are kept, a file each.
    """

    folder: Path

    def __call__(
        self,
        recipe: Recipe,
        dataset: Data,
        device: torch.device | str = "cpu",
        progress: Progress | None = None,
    ) -> Reference:
        """The one of a recipe's run: read, or trained as `recipe_reference` does, and written.

        Raises:
            FarziError: its file is damaged.
            OSError: it cannot be written.
        """
        path = self.path(recipe, dataset)
        if path.exists():
            tensors, words = read_tensors(path, FORMAT, "delete it, and it is trained again")
            found = Reference.of_tensors(tensors, json.loads(words["values"]))
            teachers = tuple(
                _put(settings, tensors, f"teacher{k}/", dataset, recipe)
                for k, settings in enumerate([recipe.student, *_further(recipe)])
            )
            return replace(found, teachers=teachers, kept=True)
        found = recipe_reference(recipe, dataset, device, progress)
        weights = {
            f"teacher{k}/{name}": value
            for k, student in enumerate(found.teachers)
            for name, value in NextEvent(student).parameters_of(student).items()
        }
        write_tensors(path, FORMAT, weights | found.tensors, {"values": json.dumps(found.values)})
        return found

    def path(self, recipe: Recipe, dataset: Data) -> Path:
        """Where it is kept: by all that it depends on, and not by what else the recipe says."""
        told = {
            "student": recipe.student.model_dump(mode="json"),
            "teachers": [student.name for student in _further(recipe)],
            "length": recipe.summary.length,
            "seed": recipe.seed,
            "seen": recipe.outer.seen,
            "training": asdict(EventTraining()),
            "trajectories": [
                trainings(recipe),
                needs_trajectories(recipe),
                recipe.outer.objective == "trajectories",
            ],
            "data": fingerprint(dataset),
        }
        words = json.dumps(told, sort_keys=True).encode()
        return self.folder / f"full-{hashlib.sha256(words).hexdigest()[:16]}.safetensors"


def _put(
    settings: StudentSettings, tensors: dict[str, Tensor], place: str, dataset: Data, recipe: Recipe
) -> Student:
    """A student with the weights whose names begin with `place`."""
    loss = NextEvent(make_student(settings, len(dataset.vocabulary), recipe.summary.length, recipe.seed))
    names = loss.parameters_of(loss.student)
    return loss.put({name: tensors[f"{place}{name}"] for name in names})


def train_reference(
    dataset: Data,
    settings: StudentSettings,
    length: int,
    seed: int,
    seen: Seen,
    training: EventTraining,
    keep: int = 0,
    from_start: bool = False,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
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
        device: where they are trained.
        progress: hears how far it is.
    """
    kind = kind_of(dataset, seen)
    trajectory: list[Theta] = []
    if from_start:
        student = make_student(settings, len(dataset.vocabulary), length, seed, device)
        trajectory.append(NextEvent(student).parameters_of(student))
        keep += 1

    def score(student: Student) -> float:
        if len(trajectory) < keep:
            theta = NextEvent(student).parameters_of(student)
            trajectory.append({name: value.clone() for name, value in theta.items()})
        return kind.score(student, dataset.valid)

    def heard(step: int, figure: float) -> None:
        (progress or Progress()).passing(f"full data: step {step}, {kind.told(figure)}")

    vocabulary = len(dataset.vocabulary)
    fit = train_on_events(dataset.train, settings, vocabulary, length, seed, training, score, device, heard)
    figures = kind.evaluate(fit.student, dataset.valid).means()
    return Reference(figures, fit.seconds, trajectory, teachers=(fit.student,))
