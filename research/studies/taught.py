"""Controls with the summary's teachers: real windows with their soft labels, and the teachers themselves."""

from dataclasses import dataclass, replace
from typing import Any, cast

from farzi.data import Data
from farzi.distillation import teach
from farzi.evaluation import Teachers
from farzi.evaluation.controls import Labelled
from farzi.evaluation.controls.labelled import label_windows, train_on_labelled
from farzi.recipe import Recipe
from farzi.training import Trained
from research.studies.bench import FIRST_SEED, Bench, Source
from research.studies.study import Demand, Job, Repeat
from research.studies.trainings import trials_of


@dataclass(frozen=True)
class OnLabelled:
    """A fresh student trained on real windows with the teachers' stored labels, as on the summary.

    Attributes:
        recipe: of the distillation; its teachers label as many windows as its summary has sequences.
        equal_bytes: as many windows as fit in the summary's bytes instead.
        keep: items stored with each label.
        source: where the data come from, if not from `recipe.data`.
    """

    recipe: Recipe
    equal_bytes: bool = False
    keep: int = 16
    source: Source | None = None

    def fit(self, bench: Bench, repeat: Repeat) -> tuple[Trained, dict[str, float]]:
        """See `research.studies.trainings.Training`."""
        recipe, seed = self.recipe, FIRST_SEED + repeat.number
        dataset = bench.data(recipe.data, self.source, repeat.summary)
        teachers = teachers_of(bench, recipe, repeat.summary, dataset)
        trials, control = trials_of(bench, dataset, recipe.student, recipe, recipe.teach), Labelled(self.keep)
        if self.equal_bytes:
            pick = trials.filler(control, bench.summary(recipe, repeat.summary, dataset).tensors.bytes)
        else:
            pick = trials.picker(control, recipe.summary.sequences)
        windows = label_windows(pick(seed), recipe.summary.length, teachers, self.keep)
        size = len(dataset.vocabulary)
        return train_on_labelled(windows, size, recipe.student, recipe.inner, seed), {
            "windows": float(len(windows["events"]))
        }

    @property
    def demand(self) -> Demand:
        """See `research.studies.trainings.Training`; the distillation has the same teachers."""
        return Demand(distil=(Job(self.recipe, self.source),))


@dataclass(frozen=True)
class OfTeachers:
    """The teachers of a distillation: one in each repetition, in turn, or the mean of their probabilities.

    Attributes:
        recipe: of the distillation.
        ensemble: whether they predict together.
        source: where the data come from, if not from `recipe.data`.
    """

    recipe: Recipe
    ensemble: bool = False
    source: Source | None = None

    def fit(self, bench: Bench, repeat: Repeat) -> tuple[Trained, dict[str, float]]:
        """See `research.studies.trainings.Training`."""
        dataset = bench.data(self.recipe.data, self.source, repeat.summary)
        teachers = teachers_of(bench, self.recipe, repeat.summary, dataset)
        models = teachers.models
        if not self.ensemble:
            teachers = replace(teachers, models=(models[repeat.number % len(models)],))
        # a measure takes whatever scores events
        return Trained(cast(Any, teachers), teachers.seconds * len(teachers.models), 0), {}

    @property
    def demand(self) -> Demand:
        """See `research.studies.trainings.Training`."""
        return Demand(distil=(Job(self.recipe, self.source),))


def teachers_of(bench: Bench, recipe: Recipe, number: int, dataset: Data) -> Teachers:
    """The teachers of a recipe's summary `number`, from the cache or trained."""
    own = recipe.model_copy(update={"seed": recipe.seed + number})

    def train() -> Teachers:
        full_data = teach(own, dataset, bench.full_data, bench.device, bench.progress)
        return Teachers(full_data.teachers, full_data.seconds / full_data.trainings)

    return bench.once(("teachers", own, dataset.name), train)
