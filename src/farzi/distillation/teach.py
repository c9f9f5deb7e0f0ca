"""The first stage: train models on the full data, as teachers and as the baseline of all figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError

from farzi.data import Data
from farzi.data.fingerprint import fingerprint
from farzi.distillation.inner import Theta
from farzi.errors import FarziError
from farzi.evaluation import Seen, sample, task_of
from farzi.event_training import train_on_events, training_key
from farzi.files import place
from farzi.models import SequenceModel
from farzi.processes import current
from farzi.progress import Progress, time_text
from farzi.recipe import Recipe, Teach
from farzi.recipe.explain import explain
from farzi.recipe.variants import Student, StudentVariant
from farzi.states import read_state, remove_state, write_state
from farzi.summary import remove_cached
from farzi.training import NextEvent, make_model

T = TypeVar("T")

RECORDED = 20
"""Measurements of a full-data training whose weights are recorded, at most."""

FORMAT = "farzi-full-data-training-2"
ADVICE = "delete it to train again"


@dataclass(frozen=True)
class FullTraining:
    """A full-data training: all that it depends on besides the data and the device."""

    student: StudentVariant
    teach: Teach
    length: int  # events in a window
    seed: int  # of the first weights and of the windows drawn
    seen: Seen = "keep"  # treatment of seen items in the validation that ends it
    record: int = 0  # measurements whose weights are recorded
    record_first: bool = False  # whether the first weights are recorded as well

    def key(self, data_sha256: str) -> str:
        """Its name in a cache: a checksum of all that it depends on, without what only `compare` tunes."""
        further = {"seen": self.seen, "record": [self.record, self.record_first], "data": data_sha256}
        return training_key(self.student, self.teach, self.length, self.seed, **further)[:16]


class Outcome(NamedTuple):
    """The result of a full-data training."""

    model: SequenceModel  # at its best validation
    figures: dict[str, float]  # its validation metrics
    seconds: float
    trajectory: list[Theta]  # weights at the first measurements, in their order
    cached: bool = False  # whether it was read from a cache


class FullData(NamedTuple):
    """The full-data trainings of a run."""

    figures: dict[
        str, float
    ]  # validation metrics of the baseline, the first training of the recipe's student
    seconds: float  # of all trainings
    trajectories: Sequence[list[Theta]] = ()  # weights along the trainings that were recorded
    trainings: int = 1  # how many there were
    cached_seconds: float = 0.0  # of the trainings that were read from a cache
    teachers: tuple[SequenceModel, ...] = ()  # in a resumed run only if the outer loop reads them

    def state_dict(self) -> dict[str, Any]:
        """All that later stages need, by attribute: nested dicts and lists of tensors and JSON values."""
        return {name: value for name, value in self._asdict().items() if name != "teachers"}


def full_trainings(recipe: Recipe) -> list[FullTraining]:
    """The full-data trainings that a recipe's run needs: the baseline first, then further teachers.

    An objective with `trajectories` gets that many recorded trainings of the student, the baseline among
    them; an initializer with `teachers` and `others` that many teachers, the baseline among them.

    Raises:
        FarziError: the objective, the initializer or the first weights cannot be built.
    """

    def training(student: StudentVariant, seed: int, record: int = 0) -> FullTraining:
        length, seen = recipe.full_length, recipe.select.seen
        return FullTraining(student, recipe.teach, length, seed, seen, record, record > 0 and recorded > 0)

    def seed(*purpose: int) -> int:
        return int(np.random.default_rng([recipe.seed, *purpose]).integers(2**62))

    recorded = int(getattr(recipe.outer.objective.build(), "trajectories", 0) or 0)
    weights = bool(getattr(recipe.outer.weights.build(), "trajectories", False))
    record = RECORDED if recorded or weights else 0
    seeds = [recipe.seed, *(seed(5, k) for k in range(1, recorded))]
    further = enumerate(further_teachers(recipe))
    return [
        *(training(recipe.full_model, one, record) for one in seeds),
        *(training(student, seed(6, k)) for k, student in further),
    ]


def further_teachers(recipe: Recipe) -> list[StudentVariant]:
    """The students of a recipe's teachers, the baseline aside.

    Raises:
        FarziError: `init.others` of a user's initializer has something else than students.
    """
    initializer = recipe.init.build()  # a user's class may have defaults that the recipe does not write out
    count, others = getattr(initializer, "teachers", 0), getattr(initializer, "others", ())
    try:
        others = TypeAdapter(tuple[Student, ...]).validate_python(tuple(others))
    except ValidationError as error:
        raise FarziError(explain(error.errors()[0], "init.others")) from None
    return [*[recipe.full_model] * max(0, count - 1), *others]


def of_teachers(trainings: Sequence[T], recipe: Recipe) -> list[T]:
    """Of `full_trainings`, or of what they gave, those of the teachers: the baseline and the further ones."""
    return [trainings[0], *trainings[len(trainings) - len(further_teachers(recipe)) :]]


class Cache:
    """Results of the costly first stage, one file each, by a key of all that they depend on.

    A run that reads one counts its seconds as its own: what a run costs does not depend on what is cached.

    Args:
        folder: where the files are, made with the first one; None caches nothing.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = None if folder is None else place(folder)

    def path(self, training: FullTraining, dataset: Data) -> Path | None:
        """The file of a full-data training."""
        if self.folder is None:
            return None
        return self.folder / f"full-{training.key(fingerprint(dataset))}.safetensors"

    def present(self, trainings: Sequence[FullTraining], dataset: Data) -> int:
        """How many of these trainings are there."""
        paths = [self.path(training, dataset) for training in trainings]
        return sum(path is not None and path.exists() for path in paths)

    def begun(self, trainings: Sequence[FullTraining], dataset: Data) -> bool:
        """Whether an unfinished one of these trainings is there."""
        paths = [self.path(training, dataset) for training in trainings]
        return any(path is not None and path.with_suffix(".unfinished").exists() for path in paths)

    def remove(self) -> None:
        """Delete the cached trainings, and the folder if nothing else is in it."""
        if self.folder is not None:
            remove_cached(self.folder)

    def get(
        self,
        training: FullTraining,
        dataset: Data,
        device: torch.device | str,
        train: Callable[[Path | None], Outcome],
    ) -> Outcome:
        """The outcome of a training: read, or else trained and written.

        `train` gets the file in which an unfinished training is kept, with which it is resumed.

        Raises:
            FarziError: the file is damaged.
            OSError: it cannot be written.
        """
        path = self.path(training, dataset)
        if path is None:
            return train(None)
        if not path.exists():
            # a trajectory is not in a checkpoint
            unfinished = path.with_suffix(".unfinished")
            outcome = train(None if training.record else unfinished)
            self.keep(training, dataset, outcome)
            remove_state(unfinished)
            return outcome
        state = read_state(path, FORMAT, ADVICE, device)
        return Outcome(restored(training, dataset, state.pop("model")), **state)

    def keep(self, training: FullTraining, dataset: Data, outcome: Outcome) -> None:
        """Write the outcome of a training, unless it is there."""
        if (path := self.path(training, dataset)) is not None and not path.exists():
            weights = NextEvent(outcome.model).parameters_of(outcome.model)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_state(path, FORMAT, outcome._asdict() | {"model": weights, "cached": True})


def restored(training: FullTraining, dataset: Data, weights: Theta) -> SequenceModel:
    """The model that a training gave, from its parameters, on their device."""
    device = next(iter(weights.values())).device
    size = (len(dataset.vocabulary), training.length, training.seed)
    return NextEvent(make_model(training.student, *size, device)).student_with(weights)


def teach(
    recipe: Recipe,
    dataset: Data,
    cache: Cache | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> FullData:
    """Train all models that a recipe's run needs on the full data.

    Args:
        recipe: the whole run.
        dataset: the log or text.
        cache: has trainings that were done before, and stores new ones.
        device: where they are trained.
        progress: receives how far they are.

    Raises:
        FarziError: a cached training is damaged.
        OSError: one cannot be written.
    """
    cache, progress = cache or Cache(), progress or Progress()
    wanted, processes = full_trainings(recipe), current()

    def outcome_of(number: int) -> Outcome:
        training = wanted[number]
        name = "full data" if len(wanted) == 1 else f"full data, model {number + 1} of {len(wanted)}"
        train = partial(train_on_full_data, training, dataset, device, progress, name)
        return cache.get(training, dataset, device, train)

    # each process keeps what it trains, so that nothing is lost if another one ends; the first one keeps all
    outcomes = processes.map(outcome_of, range(len(wanted)))
    for training, outcome in zip(wanted, outcomes, strict=True):
        if processes.first:
            cache.keep(training, dataset, outcome)
    return FullData(
        figures=outcomes[0].figures,
        seconds=sum(one.seconds for one in outcomes),
        trajectories=[one.trajectory for one in outcomes if one.trajectory],
        trainings=len(outcomes),
        cached_seconds=sum(one.seconds for one in outcomes if one.cached),
        teachers=tuple(one.model for one in of_teachers(outcomes, recipe)),
    )


def train_on_full_data(
    training: FullTraining,
    dataset: Data,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    name: str = "full data",
    checkpoint: Path | None = None,
) -> Outcome:
    """Train a model on all training events until the validation gets no better; `name` is for reports.

    With a checkpoint it goes on from there, as `train_on_events`.
    """
    task, vocabulary = task_of(dataset, training.seen), len(dataset.vocabulary)
    student, length, seed = training.student, training.length, training.seed
    trajectory: list[Theta] = []
    if training.record_first:
        model = make_model(student, vocabulary, length, seed, device)
        trajectory.append(NextEvent(model).parameters_of(model))
    record = training.record + len(trajectory)
    held = sample(dataset.valid, training.teach)

    def score(model: SequenceModel) -> float:
        if len(trajectory) < record:
            theta = NextEvent(model).parameters_of(model)
            trajectory.append({name: value.clone() for name, value in theta.items()})
        return task.score(model, held)

    def report(step: int, figure: float, left: float) -> None:
        line = f"{name}: step {step}, {task.score_text(figure)}, at most {time_text(left)} left"
        (progress or Progress()).passing(line)

    trained = train_on_events(
        dataset.train, student, vocabulary, length, seed, training.teach, score, device, report, checkpoint
    )
    figures = task.evaluate(trained.model, dataset.valid).means()
    return Outcome(trained.model, figures, trained.seconds, trajectory)
