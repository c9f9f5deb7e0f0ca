"""The fourth stage: which state of the outer loop becomes the summary, by validation on fresh students."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from typing import Any

import numpy as np
import torch

from farzi.data import Data
from farzi.evaluation import Evaluation, Interval, jackknife_interval, metric_of, task_of
from farzi.files import finite_values
from farzi.models import SequenceModel
from farzi.processes import current
from farzi.progress import StepReport
from farzi.recipe import Recipe
from farzi.summary import SummaryTensors
from farzi.training import train_on_summary


@dataclass(frozen=True)
class Validation:
    """Metrics of students trained from scratch on a summary, on the validation events or text."""

    figures: dict[str, float]  # mean over the students
    relative: dict[str, float]  # each metric's ratio to the full data's, nan where that is 0
    # the score without each of the units (users of a log, passages of a text), (units,)
    leave_one_out: np.ndarray = field(default_factory=lambda: np.zeros(0), compare=False, repr=False)

    @property
    def score(self) -> float:
        """The mean gain of the judged metrics that are defined, else 0; it decides which summary is best."""
        gains = [metric_of(name).gain(self.relative[name]) for name in _judged(self.relative)]
        return float(np.mean(gains)) if gains else 0.0

    def clearly_better(self, other: "Validation") -> bool:
        """Whether the 95 % interval of the difference of the scores is above 0."""
        return self._difference(other).low > 0

    def better_than_noise(self, other: "Validation") -> bool:
        """Whether its score is more than about one standard error of the difference above the other's."""
        difference = self._difference(other)
        return difference.mean > 0 and 2 * difference.mean > difference.mean - difference.low

    def gain_over(self, other: "Validation") -> tuple[float, float]:
        """How much its score is above the other's, and how much would be clearly better."""
        difference = self._difference(other)
        return difference.mean, difference.mean - difference.low

    def _difference(self, other: "Validation") -> Interval:
        """That of the scores, by the jackknife over units."""
        return jackknife_interval(self.score - other.score, self.leave_one_out - other.leave_one_out)


class Selection:
    """The best summary so far.

    Of many validations that differ by chance the best one is the luckiest. Hence no state replaces the
    initial summary unless it is clearly better (docs/decisions/0017-clear-of-the-start.md). The last state
    is not one of many: if none was clearly better, it need only be better.

    Args:
        initial: the initial summary.

    Attributes:
        best: the best summary so far.
        best_score: its score.
        first: the validation of the initial summary, once there is one.
        improved: whether another summary than the initial one is best.
    """

    def __init__(self, initial: SummaryTensors) -> None:
        self.best, self.best_score = initial, -math.inf
        self.first: Validation | None = None
        self.improved = False

    def offer(self, summary: SummaryTensors, validation: Validation, last: bool = False) -> bool:
        """Record a validation, first that of the initial summary; whether its summary is the best so far.

        `last` says that it is the outer loop's last state.
        """
        best = validation.score > self.best_score
        if self.first is None:
            self.first = validation
        else:
            best = best and (last or validation.clearly_better(self.first))
            self.improved = self.improved or best
        if best:
            self.best, self.best_score = summary, validation.score
        return best

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to continue later: nested dicts and lists of tensors and JSON values."""
        first = self.first
        return {
            "best": dict(self.best.parts),
            "score": self.best_score,
            "improved": self.improved,
            "first": first and [first.figures, first.relative, torch.from_numpy(first.leave_one_out)],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`."""
        self.best = replace(self.best, **state["best"])
        self.best_score, self.improved = state["score"], state["improved"]
        if state["first"]:
            figures, relative, without = state["first"]
            self.first = Validation(figures, relative, without.cpu().numpy())


def validate(
    summary: SummaryTensors,
    dataset: Data,
    recipe: Recipe,
    full_data: Mapping[str, float],
    students: list[SequenceModel] | None = None,
) -> Validation:
    """Train `select.students` students from scratch and test them on the validation events.

    They start from the same weights at every validation, so that the figures of one run can be compared.
    `full_data` holds the baseline's figures by name. The trained models are appended to `students`.
    """
    task = task_of(dataset, recipe.select.seen)

    def measure(k: int) -> tuple[Evaluation, SequenceModel | None]:
        seed = int(np.random.default_rng([recipe.seed, 2, k]).integers(2**62))
        model = train_on_summary(summary, recipe.student, recipe.inner, seed).model
        return task.evaluate(model, dataset.valid), None if students is None else model

    found = current().map(measure, range(recipe.select.students))
    measured = [one for one, _ in found]
    if students is not None:
        students += [model for _, model in found if model is not None]
    means = [one.means() for one in measured]
    figures = {name: float(np.mean([one[name] for one in means])) for name in means[0]}
    relative = {
        name: figures[name] / full_data[name] if full_data[name] > 0 else math.nan for name in figures
    }
    judged = {name: full_data[name] for name in _judged(relative)}
    return Validation(figures, relative, _leave_one_out(measured, judged))


def _judged(relative: Mapping[str, float]) -> list[str]:
    """The metrics that make the score, of those whose ratio is defined."""
    return [name for name, ratio in relative.items() if metric_of(name).judged and not math.isnan(ratio)]


def _leave_one_out(measured: Sequence[Evaluation], full_data: Mapping[str, float]) -> np.ndarray:
    """The score without each of the units, (units,), from the figures of each student and of the baseline."""
    gains = []
    for name, whole in full_data.items():
        metric, units = metric_of(name), np.stack([one.per_unit[name] for one in measured])
        others = (units.sum(1, keepdims=True) - units) / max(1, units.shape[1] - 1)  # (students, units)
        gains.append(metric.gain(metric.figure(others).mean(0) / whole))
    count = len(next(iter(measured[0].per_unit.values())))
    return np.mean(gains, axis=0) if gains else np.zeros(count)


def history_line(
    step: int, name: str, reports: list[StepReport], result: Validation, best: bool
) -> dict[str, Any]:
    """A line of history.jsonl: a validation and the steps since the last; null for what is not finite."""
    losses = [report.loss for report in reports if math.isfinite(report.loss)]
    norms = [report.norm for report in reports if math.isfinite(report.norm)]
    return {
        "outer_step": step,
        name: fmean(losses) if losses else None,
        "metagradient_norm": {"median": median(norms), "min": min(norms), "max": max(norms)}
        if norms
        else None,
        "steps_without_metagradient": len(reports) - len(norms),
        "validation": finite_values(result.figures),
        "relative_to_full": finite_values(result.relative),
        "best": best,
    }
