"""A summary beside the full data and controls, under the same evaluation.

Each model starts from fresh random weights. Models on real events are trained as usual: with early stopping
and with the best of several learning rates, both by the validation data. The rows are

- full: the whole log or text, the baseline;
- summary, and the initial summary before any outer step;
- the recipe's controls: as many real sequences as the summary has, of the same length; with the teachers'
  labels they are trained on as the summary is;
- the same controls at equal bytes: as many real sequences as fit in the summary's bytes;
- the full data with the teachers' labels; the teachers themselves, and their ensemble;
- models of the full data that need no training: counts, nearest neighbours, a linear model.

What is tuned for the full data (`teach.grid`) is also used for the full data with labels; rate, dropout and
decay also for the controls at equal bytes, which are of similar size. What is tuned for the first small
control is used for all of them.
The test data are used once, at the end.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from farzi.data import Data
from farzi.data.fingerprint import fingerprint
from farzi.errors import FarziError
from farzi.evaluation.comparison import Comparison
from farzi.evaluation.controls import (
    Bigram,
    Control,
    Labelled,
    Popularity,
    Successors,
    Teachers,
    ease,
    item_knn,
    labels_kept,
)
from farzi.evaluation.controls.ease import LARGEST
from farzi.evaluation.kept import Kept
from farzi.evaluation.metrics import kib
from farzi.evaluation.tasks import LanguageTask, RecommendationTask, Task, task_of
from farzi.evaluation.trials import Pick, Result, Trials
from farzi.evaluation.tuning import ALONE, Tuning, changed, trainings_of, tune, value_of, values_of
from farzi.progress import PrintedProgress, Progress, time_left
from farzi.recipe import Recipe
from farzi.recipe.variants import ControlVariant
from farzi.summary import Summary, SummaryTensors, distillation_facts, no_comparison
from farzi.surroundings import undisturbed

COUNTS: dict[type[Task], dict[str, Callable[..., object]]] = {
    RecommendationTask: {
        "popularity": Popularity,
        "successors": Successors,
        "item-kNN": item_knn,
        "EASE": ease,
    },
    LanguageTask: {"unigram": Popularity, "bigram": Bigram},
}
"""Controls without training, of each task, by the names of their rows."""


@dataclass(frozen=True, eq=False)
class Origin:
    """What a summary was distilled from, besides the data.

    Attributes:
        teachers: the models whose predictions its first labels are, or would have been.
        initial: gives the initial summary; None if the data are not those of the distillation.
    """

    teachers: Teachers
    initial: Callable[[], SummaryTensors] | None = None


@undisturbed()
def compare(
    summary: Summary,
    data: Data,
    recipe: Recipe | None = None,
    *,
    origin: Origin | None = None,
    kept: Path | None = None,
    progress: Progress | None = None,
    device: torch.device | str = "cpu",
) -> Comparison:
    """As `farzi.compare`, which see, with the teachers given; rows that need them are left out if not.

    `kept` is a folder for finished trainings, which are read from there.
    """
    recipe = recipe or summary.recipe
    check_vocabulary(data, summary)
    counter = _Counter(progress or PrintedProgress())
    trials = _trials(data, recipe, summary.tensors.length, kept, counter, device)
    rows, left_out = _rows(trials, summary, recipe, origin, device)
    counter.expect(sum(row.trainings for row in rows), trials.kept)
    return Comparison(
        recipe.student.type,
        trials.task,
        summary.tensors.length,
        len(data.vocabulary) - 1,
        tuple(row.work() for row in rows),
        summary.run.get("seconds"),
        distillation_facts(summary),
        tuple(left_out),
    )


def tune_full_data(
    data: Data, recipe: Recipe, kept: Path | None, progress: Progress, device: torch.device | str
) -> Tuning:
    """As `farzi.tune_baseline`; `kept` is a folder for finished trainings, as of `compare`."""
    counter = _Counter(progress)
    trials = _trials(data, recipe, recipe.summary.length, kept, counter, device)
    counter.expect(trainings_of(recipe.teach.grid), trials.kept)
    return tune(trials.baseline, "full", trials.whole)


class _Counter:
    """Reports each training with its number and the time left."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.begun = progress, time.monotonic()
        self.total, self.kept = 0, Kept()

    def expect(self, total: int, kept: Kept) -> None:
        """So many trainings, those that are kept included."""
        self.total, self.kept = total, kept

    def __call__(self, text: str) -> None:
        """A training begins."""
        new, done = self.total - self.kept.found, self.kept.trained
        left = f", about {time_left(self.begun, done, new)} left" if done else ""
        number = done + self.kept.found + 1
        self.progress.doing(f"{text} ({number} of {self.total} trainings{left})")


def _trials(
    data: Data, recipe: Recipe, length: int, kept: Path | None, counter: _Counter, device: torch.device | str
) -> Trials:
    task = task_of(data, recipe.select.seen)
    facts = {"name": task.name, **task.facts(length)}
    common = {"task": facts, "data": fingerprint(data), "device": str(device)}
    return Trials(
        data,
        recipe.student,
        length,
        task,
        recipe.compare.seeds,
        recipe.teach,
        progress=counter,
        passing=counter.progress.passing,
        device=device,
        kept=Kept(kept, common),
    )


class _Row(NamedTuple):
    """A row before it is measured."""

    work: Callable[[], Result]
    trainings: int  # that it takes, choices of a learning rate included


def _rows(
    trials: Trials, summary: Summary, recipe: Recipe, origin: Origin | None, device: torch.device | str
) -> tuple[list[_Row], list[str]]:
    """The rows in their order, and sentences on those that are left out."""
    settings, seeds, tensors = recipe.compare, recipe.compare.seeds, summary.tensors
    controls, left_out = build_controls(settings.controls), []
    if origin is None:
        controls = {name: one for name, one in controls.items() if not labels_kept(one)}
        left_out.append("There are no rows of teachers, of their labels, or of the initial summary.")
    plain = {name: one for name, one in controls.items() if not labels_kept(one)}
    small = {name: trials.picker(control, tensors.sequences) for name, control in controls.items()}
    first = next(iter(plain), None)
    baseline = cache(lambda: tune(trials.baseline, "full", trials.whole).trials)
    small_trials = cache(lambda: tune(trials, first, small[first], ALONE).trials if first else trials)
    alone = tuple(values_of(recipe.teach.grid, ALONE))
    many_trials = cache(lambda: changed(trials, {axis: value_of(baseline(), axis) for axis in alone}))

    def add(work: Callable[..., Result], *given: Any, trainings: int = seeds) -> None:
        rows.append(_Row(partial(work, *given), trainings))

    def sequences(
        name: str, pick: Pick, keep: int, how: Callable[[], Trials], trainings: int = seeds
    ) -> None:
        if keep and origin is not None:
            add(trials.on_labelled, name, pick, keep, origin.teachers, recipe.inner)
        else:
            add(lambda: how().on_events(name, pick), trainings=trainings)

    rows: list[_Row] = []
    sequences("full", trials.whole, 0, baseline, seeds + trainings_of(recipe.teach.grid))
    ours = cache(lambda: tensors.to(device))
    add(trials.on_summary, "summary", recipe.inner, tensors, summary_checksum(tensors), ours)
    if origin is not None and "initial" in settings.references:
        if summary.selected_step == 0:
            left_out.append("The summary is the initial one: no outer step was kept.")
        elif (make := origin.initial) is None:
            left_out.append("There is no initial summary: it was made of other data.")
        else:
            initial = cache(lambda: make().rounded(tensors.precision).to(device))
            key = f"initial, {tensors.precision}, {origin.teachers.key}"
            add(trials.on_summary, "initial summary", recipe.inner, tensors, key, initial)
    for name, control in controls.items():
        more = trainings_of(recipe.teach.grid, ALONE) if name == first else 0
        sequences(name, small[name], labels_kept(control), small_trials, seeds + more)
    if settings.equal_bytes:
        for name, control in controls.items():
            pick, size_of = trials.filler(control, tensors.bytes), trials.bytes_of(control)
            size = int(size_of(pick(trials.first_seed).lengths).sum())
            if tensors.bytes - size >= size_of(np.array([tensors.length]))[0]:
                left_out.append(
                    f'There is no row "{name}, equal bytes": all of its sequences take {kib(size)} KiB, less '
                    f"than the summary's {kib(tensors.bytes)}."
                )
            else:
                sequences(f"{name}, equal bytes", pick, labels_kept(control), many_trials)
    if origin is not None:
        teachers = origin.teachers
        if "full-labels" in settings.references:
            add(lambda: baseline().on_events("full, teachers' labels", trials.whole, teachers))
        if "teachers" in settings.references:
            single = [replace(teachers, models=(model,)) for model in teachers.models]
            add(trials.of_teachers, "teachers", single, trainings=0)
            if len(single) > 1:
                add(trials.of_teachers, "teachers' ensemble", [teachers], trainings=0)
    for name, counts in COUNTS[type(trials.task)].items():
        if counts is ease and tensors.vocabulary > LARGEST:
            left_out.append(f'There is no row "{name}": it is for at most {LARGEST:,} items.')
        else:
            add(trials.on_counts, name, counts, trainings=0)
    return rows, left_out


def summary_checksum(tensors: SummaryTensors) -> str:
    """SHA-256 over a summary's numbers and its temperature, in hexadecimal."""
    digest = hashlib.sha256(repr(tensors.temperature).encode())
    for name, part in tensors.parts.items():
        digest.update(name.encode() + part.cpu().numpy().tobytes())
    return digest.hexdigest()


def build_controls(variants: Sequence[ControlVariant]) -> dict[str, Control]:
    """Controls by the names of their rows: the `type`, or the class of a variant from outside the package.

    A control whose sequences get the teachers' labels says so in its name.

    Raises:
        FarziError: a class cannot be imported or does not take its settings.
    """
    controls: dict[str, Control] = {}
    for variant in variants:
        control = variant.build()
        plain = variant.type.rpartition(":")[2].rpartition(".")[2]
        if labels_kept(control):
            plain = f"{'random' if isinstance(control, Labelled) else plain}, teachers' labels"
        names = (plain, *(f"{plain} {number}" for number in range(2, len(controls) + 2)))
        controls[next(name for name in names if name not in controls)] = control
    return controls


def check_vocabulary(data: Data, summary: Summary) -> None:
    """Refuse data whose items are not those of the summary, in the same order.

    Raises:
        FarziError: the ids differ.
    """
    if not data.vocabulary.frame["id"].equals(summary.vocabulary.frame["id"]):
        raise FarziError(
            no_comparison(summary, data.name)
            or f"{data.name}: its items are not those of the summary; read and split it as for the "
            "distillation"
        )
