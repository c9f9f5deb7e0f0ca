"""Full-data trainings: a summary's measure, its teachers, and weights that inner runs may begin with."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import count, takewhile, zip_longest
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

FORMAT = "farzi-reference-3"


@dataclass(frozen=True)
class Training:
    """A full-data training: all that it depends on, the data and the device aside.

    Attributes:
        student: the architecture.
        length: events in a window.
        seed: of the first weights and of the windows drawn.
        seen: the treatment of seen items in the ranking, which says when it ends.
        keep: how many measurements' weights are kept as a trajectory.
        from_start: keep the first weights as well.
        events: step size, batch and patience.
    """

    student: StudentSettings
    length: int
    seed: int
    seen: Seen = "keep"
    keep: int = 0
    from_start: bool = False
    events: EventTraining = field(default_factory=lambda: EventTraining())


@dataclass(frozen=True)
class Outcome:
    """What a full-data training came to.

    Attributes:
        student: as trained.
        figures: its validation metrics.
        seconds: what it took.
        trajectory: its weights at the first measurements, in their order.
        kept: whether it was trained before, and only read now.
    """

    student: Student
    figures: dict[str, float]
    seconds: float
    trajectory: list[Theta] = field(default_factory=list)
    kept: bool = False


@dataclass(frozen=True)
class Reference:
    """The full-data trainings of a run.

    Attributes:
        figures: the validation metrics of the first one, of the recipe's student.
        seconds: what all of them took.
        trajectories: of each whose weights were kept.
        teachers: the recipe's student, then its further teachers; none where a run goes on.
        before: seconds of those that were not trained now but read.
    """

    figures: dict[str, float]
    seconds: float
    trajectories: list[list[Theta]] = field(default_factory=list)
    teachers: tuple[Student, ...] = ()
    before: float = 0.0

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The trajectories' weights, under names by which `of_tensors` finds them."""
        return _named(self.trajectories)

    @property
    def values(self) -> dict[str, Any]:
        """Its figures and seconds, as JSON values."""
        return {"figures": self.figures, "seconds": self.seconds}

    @staticmethod
    def of_tensors(tensors: dict[str, Tensor], values: dict[str, Any]) -> "Reference":
        """What `tensors` and `values` were taken of, but for its teachers; there may be other tensors."""
        return Reference(values["figures"], values["seconds"], _trajectories(tensors))


def _named(trajectories: list[list[Theta]]) -> dict[str, Tensor]:
    """All weights by trajectory, measurement and parameter."""
    return {
        f"{place}/{k}/{name}": value
        for place, trajectory in zip(_places(), trajectories)
        for k, theta in enumerate(trajectory)
        for name, value in theta.items()
    }


def _trajectories(tensors: dict[str, Tensor]) -> list[list[Theta]]:
    """What `_named` gave the names of, among other tensors."""
    return list(takewhile(len, (_trajectory(tensors, place) for place in _places())))


def _trajectory(tensors: dict[str, Tensor], place: str) -> list[Theta]:
    thetas: dict[str, Theta] = {}
    for name, value in tensors.items():
        if name.startswith(f"{place}/"):
            k, _, parameter = name.removeprefix(f"{place}/").partition("/")
            thetas.setdefault(k, {})[parameter] = value
    return list(thetas.values())


def _places() -> Iterator[str]:
    """What the names of the tensors of one trajectory after the other begin with."""
    return (f"trajectory{k or ''}" for k in count())


def trainings(recipe: Recipe) -> list[Training]:
    """The full-data trainings of a recipe's run: of its student, then of its further teachers.

    Where trajectories are what is matched there are several of its student, kept from the first weights on.
    """

    def seed(*of: int) -> int:
        return int(np.random.default_rng([recipe.seed, *of]).integers(2**62))

    matched = recipe.outer.objective == "trajectories"
    several = (recipe.outer.trajectories or TRAJECTORIES) if matched else 1
    length, seen = recipe.summary.length, recipe.outer.seen
    keep = KEPT if needs_trajectories(recipe) else 0
    seeds = [recipe.seed, *(seed(5, k) for k in range(1, several))]
    further = [another(recipe.student, name) for name in recipe.summary.teachers]
    return [
        *(Training(recipe.student, length, one, seen, keep, matched) for one in seeds),
        *(Training(student, length, seed(6, k), seen) for k, student in enumerate(further)),
    ]


def needs_trajectories(recipe: Recipe) -> bool:
    """Whether weights on the way of full-data trainings are needed."""
    return recipe.outer.objective == "trajectories" or recipe.inner.weights != "fresh"


@dataclass(frozen=True)
class References:
    """Full-data trainings that are kept, a file each: runs share them, and a stopped run goes on after them.

    A run that finds one counts its seconds as its own: how long it is does not depend on what was kept.

    Attributes:
        folder: where they are kept; made with the first one. Nothing is kept where it is None.
    """

    folder: Path | None = None

    def __call__(
        self,
        recipe: Recipe,
        dataset: Data,
        device: torch.device | str = "cpu",
        progress: Progress | None = None,
    ) -> Reference:
        """Those of a recipe's run, in the order of `trainings`: each read, or trained and written.

        Raises:
            FarziError: a file is damaged.
            OSError: one cannot be written.
        """
        wanted = trainings(recipe)
        done: list[Outcome] = []
        for number, (training, path) in enumerate(zip_longest(wanted, self.paths(recipe, dataset)), 1):
            which = "full data" if len(wanted) == 1 else f"full data, student {number} of {len(wanted)}"
            if path is not None and path.exists():
                done.append(_read(path, training, len(dataset.vocabulary), device))
                continue
            done.append(train_reference(training, dataset, device, progress, which))
            if path is not None:
                _write(path, done[-1])
        if before := [one.seconds for one in done if one.kept]:
            told = f"{len(before)} of these trained before; the seconds that took count"
            (progress or Progress()).message(told)
        teachers = len(recipe.summary.teachers)
        return Reference(
            done[0].figures,
            sum(one.seconds for one in done),
            [one.trajectory for one in done if one.trajectory],
            tuple(one.student for one in (done[0], *done[len(done) - teachers :])),
            sum(before),
        )

    def paths(self, recipe: Recipe, dataset: Data) -> list[Path]:
        """Where they are kept, once they are done: by all that they depend on, whatever else the recipe says.

        Empty where nothing is kept.
        """
        if self.folder is None:
            return []
        data = fingerprint(dataset)
        told = [json.dumps([asdict(one), data], sort_keys=True, default=_told) for one in trainings(recipe)]
        names = [hashlib.sha256(words.encode()).hexdigest()[:16] for words in told]
        return [self.folder / f"full-{name}.safetensors" for name in names]

    def kept(self, recipe: Recipe, dataset: Data) -> int:
        """How many of a recipe's run are there."""
        return sum(path.exists() for path in self.paths(recipe, dataset))


def _told(settings: StudentSettings) -> dict[str, Any]:
    return settings.model_dump(mode="json")


def _write(path: Path, done: Outcome) -> None:
    weights = NextEvent(done.student).parameters_of(done.student)
    tensors = {f"student/{name}": value for name, value in weights.items()} | _named([done.trajectory])
    path.parent.mkdir(parents=True, exist_ok=True)
    values = json.dumps({"figures": done.figures, "seconds": done.seconds})
    write_tensors(path, FORMAT, tensors, {"values": values})


def _read(path: Path, training: Training, vocabulary: int, device: torch.device | str) -> Outcome:
    tensors, words = read_tensors(path, FORMAT, "delete it, and it is trained again")
    loss = NextEvent(make_student(training.student, vocabulary, training.length, training.seed, device))
    names = loss.parameters_of(loss.student)
    student = loss.put({name: tensors[f"student/{name}"].to(device) for name in names})
    values, trajectory = json.loads(words["values"]), _trajectory(tensors, "trajectory")
    return Outcome(student, values["figures"], values["seconds"], trajectory, kept=True)


def train_reference(
    training: Training,
    dataset: Data,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    which: str = "full data",
) -> Outcome:
    """Train on all training events until validation gets no better.

    Args:
        training: what is trained.
        dataset: the log or the text.
        device: where it is trained.
        progress: hears how far it is.
        which: what it is called there.
    """
    kind, vocabulary = kind_of(dataset, training.seen), len(dataset.vocabulary)
    settings, length, seed = training.student, training.length, training.seed
    trajectory: list[Theta] = []
    if training.from_start:
        student = make_student(settings, vocabulary, length, seed, device)
        trajectory.append(NextEvent(student).parameters_of(student))
    keep = training.keep + len(trajectory)

    def score(student: Student) -> float:
        if len(trajectory) < keep:
            theta = NextEvent(student).parameters_of(student)
            trajectory.append({name: value.clone() for name, value in theta.items()})
        return kind.score(student, dataset.valid)

    def heard(step: int, figure: float) -> None:
        (progress or Progress()).passing(f"{which}: step {step}, {kind.told(figure)}")

    fit = train_on_events(
        dataset.train, settings, vocabulary, length, seed, training.events, score, device, heard
    )
    figures = kind.evaluate(fit.student, dataset.valid).means()
    return Outcome(fit.student, figures, fit.seconds, trajectory)
