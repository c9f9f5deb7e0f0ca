"""A summary beside its controls, under the same evaluation.

Every student starts from fresh random weights. The controls are trained as one trains on real events: with
early stopping on the validation events and with the best of several learning rates, chosen on the validation
events too. They are

- full: the whole log or text;
- random and head: as many real sequences as the summary has, of the same length, from random and from the
  most active users; of a text random and the longest sentences;
- where they are asked for, herding and k-centre: as many, picked so that together they are like the log, or
  so that none of it is far from all of them;
- the same at equal bytes: as many as fit in the summary's bytes.

The learning rate chosen for the full data serves the subsets at equal bytes, which are of its order of size,
and the one chosen for the first of the others, the random sequences, serves all of these. The test events
are looked at once, at the end.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from farzi.data import Data
from farzi.evaluation.controls import bytes_per_event
from farzi.evaluation.intervals import Interval, paired_ratio, seed_interval
from farzi.evaluation.metrics import headlines, metric_of
from farzi.evaluation.ranking import Seen
from farzi.evaluation.tasks import Task, task_of
from farzi.evaluation.trials import Result, Trials
from farzi.recipe import Recipe
from farzi.summary import SummaryTensors


@dataclass(frozen=True, eq=False)
class Comparison:
    """All kinds of training data beside each other.

    Attributes:
        student: the architecture's name.
        task: of the data; says what the figures are.
        window: events in a training window.
        measured: one entry a kind, "full" first.
        distilling: seconds that the distillation took; None where unknown.
    """

    student: str
    task: Task
    window: int
    measured: tuple[Result, ...]
    distilling: float | None

    def of(self, trained_on: str) -> Result:
        """The entry of that name."""
        return next(entry for entry in self.measured if entry.trained_on == trained_on)

    def share(self, trained_on: str, metric: str) -> float:
        """Ratio to the full data's figure; nan where that is 0."""
        whole = self.of("full").figures(metric).mean()
        return float(self.of(trained_on).figures(metric).mean() / whole) if whole > 0 else math.nan

    def relative(self, trained_on: str, metric: str) -> Interval:
        """The same ratio with its interval, a paired bootstrap over units and seeds; nan where that is 0."""
        ours, theirs = self.of(trained_on).per_unit[metric], self.of("full").per_unit[metric]
        return paired_ratio(ours, theirs, figure=metric_of(metric).figure)

    @property
    def headlines(self) -> tuple[str, ...]:
        """The metrics that people are shown."""
        return headlines(self.of("full").per_unit)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of results.json: one for each kind of training data and metric.

        mean, low and high are in `unit`: "%", or "" for a perplexity and the like; relative_to_full is a
        ratio, nan where the full data's figure is 0.
        """
        rows = []
        for entry in self.measured:
            for metric in entry.per_unit:
                named, figures = metric_of(metric), entry.figures(metric)
                mean, low, high = seed_interval(named.scaled(figures))
                rows.append(
                    {
                        "trained_on": entry.trained_on,
                        "student": self.student,
                        "sequences": entry.sequences,
                        "bytes": entry.bytes,
                        "metric": metric,
                        "unit": named.unit,
                        "mean": mean,
                        "low": low,
                        "high": high,
                        "seeds": len(figures),
                        "train_seconds": entry.seconds,
                        "relative_to_full": self.share(entry.trained_on, metric),
                    }
                )
        return rows

    @property
    def speedup(self) -> float:
        """How many times faster a training on the summary is than one on the full data."""
        return self.of("full").seconds / self.of("summary").seconds

    @property
    def break_even(self) -> float | None:
        """After how many trainings the distillation has paid for itself; None where never, or unknown."""
        saved = self.of("full").seconds - self.of("summary").seconds
        return None if self.distilling is None or saved <= 0 else self.distilling / saved


def compare(
    summary: SummaryTensors,
    dataset: Data,
    recipe: Recipe,
    *,
    seen: Seen = "keep",
    distilling: float | None = None,
    first_seed: int = 1000,
    progress: Callable[[str], None] = lambda what: None,
) -> Comparison:
    """Train and test students on the full data, the summary and the controls.

    Args:
        summary: the learnt sequences; all students are trained where they are.
        dataset: the log or the text they were learnt from.
        recipe: how they were learnt; its student, inner loop, full-data training and controls are used.
        seen: the treatment of seen items in the ranking; nothing to a text.
        distilling: seconds that the distillation took.
        first_seed: the students' seeds count up from here; distillation draws its own from elsewhere.
        progress: called with a word on what is being done.
    """
    trials = Trials(
        dataset,
        recipe.student,
        summary.length,
        task_of(dataset, seen),
        recipe.compare.seeds,
        recipe.teach,
        first_seed,
        progress,
        summary.device,
    )
    full = trials.on_everything()
    measured = [full, trials.on_summary(summary, recipe.inner)]
    controls = {
        control.type.partition(":")[2] or control.type: control.build() for control in recipe.compare.controls
    }
    few = {name: trials.picker(control, summary.sequences) for name, control in controls.items()}
    few_rate = next((trials.best_rate(name, pick) for name, pick in few.items()), 0.0)
    measured += [trials.on_events(name, pick, few_rate) for name, pick in few.items()]
    if recipe.compare.equal_bytes:
        count = max(1, summary.bytes // (summary.length * bytes_per_event(len(dataset.vocabulary))))
        for name, control in controls.items():
            pick = trials.picker(control, count)
            measured.append(trials.on_events(f"{name}, equal bytes", pick, full.learning_rate))
    return Comparison(recipe.student.type, trials.task, summary.length, tuple(measured), distilling)
