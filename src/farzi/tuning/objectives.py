"""What a model search maximises or minimises: the figure of models that are trained with drawn settings."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from farzi.data import Data, Holdout, Passages, Sequences
from farzi.errors import FarziError
from farzi.evaluation import check_vocabulary, metric_of, sample, task_of
from farzi.evaluation.metrics import METRICS, Metric
from farzi.evaluation.tasks import Task
from farzi.event_training import train_on_events
from farzi.models import SequenceModel
from farzi.recipe import Recipe
from farzi.recipe.explain import did_you_mean, shown
from farzi.summary import Summary, SummaryTensors
from farzi.surroundings import undisturbed
from farzi.training import train_on_summary
from farzi.tuning.reading import load_space
from farzi.tuning.space import DROPOUT, Space

OF_TEXTS = ("perplexity", "accuracy", "bits per byte")
FIRST_SEED = 1000
"""The seeds of every trial count up from here."""
PARTS = 6
"""Parts of the users, or passages, whose means are reported to Optuna for each seed: they are paired between
trials, so that `WilcoxonPruner` can stop a trial after its first seed."""

Measure = Callable[[Recipe, Mapping[str, Any], int], np.ndarray]
"""From a recipe, the settings drawn, and a seed to a model's metric per unit, (units,)."""


class Objective:
    """An objective for Optuna's `study.optimize`: `objective(trial)` is the mean figure over seeds.

    Every trial has the same seeds. After each seed the means of `PARTS` parts of the users are reported as
    steps of the trial, which `WilcoxonPruner` compares with those of the best trial; where it stops a trial,
    the mean so far is returned, as Optuna's manual advises for it. Other pruners end a trial by
    `TrialPruned`.

    Args:
        space: from which settings are drawn.
        metric: whose figure is returned.
        seeds: trainings of each trial.
        measure: trains a model and measures it.
    """

    def __init__(self, space: Space, metric: Metric, seeds: int, measure: Measure) -> None:
        self.space, self.metric, self.seeds, self.measure = space, metric, seeds, measure

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """For `optuna.create_study`."""
        return "minimize" if self.metric.cost else "maximize"

    @property
    def pruner(self) -> Any:
        """Optuna's `WilcoxonPruner`, for `optuna.create_study`."""
        from optuna.pruners import WilcoxonPruner

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna calls it experimental
            return WilcoxonPruner(p_threshold=0.05)

    @undisturbed()
    def __call__(self, trial: Any) -> float:
        """The figure of a trial's settings.

        Raises:
            FarziError: the settings don't fit each other.
            optuna.TrialPruned: another pruner than `WilcoxonPruner` stopped it.
        """
        from optuna import TrialPruned
        from optuna.pruners import WilcoxonPruner

        drawn = self.space.suggest(trial)
        recipe = self.space.recipe if trial.user_attrs.get("default") else self.space.changed(drawn)
        figures: list[float] = []
        for number in range(self.seeds):
            units = self.measure(recipe, drawn, FIRST_SEED + number)
            figures.append(float(self.metric.figure(units.mean())))
            for part, mean in enumerate(_means(units)):
                trial.report(mean, number * PARTS + part)
            trial.set_user_attr("figures", figures)
            if number + 1 < self.seeds and trial.should_prune():
                if not isinstance(trial.study.pruner, WilcoxonPruner):
                    raise TrialPruned
                trial.set_user_attr("stopped", True)
                break
        return float(np.mean(figures))


def _means(units: np.ndarray) -> list[float]:
    """Means of parts of the units, the same parts in every trial; fewer where there are few units."""
    order = np.random.default_rng(0).permutation(len(units))
    return [float(units[part].mean()) for part in np.array_split(order, min(PARTS, len(units)))]


@dataclass(frozen=True)
class OnSummary:
    """Trains on a summary, measures on validation events. See `Measure`.

    Dropout is that of `teach.dropout` where the space has it, and none otherwise.
    """

    tensors: SummaryTensors
    task: Task
    valid: Holdout | Passages
    metric: str

    def __call__(self, recipe: Recipe, drawn: Mapping[str, Any], seed: int) -> np.ndarray:
        dropout = recipe.teach.dropout if DROPOUT in drawn else 0.0
        trained = train_on_summary(self.tensors, recipe.student, recipe.inner, seed, dropout=dropout)
        return self.task.evaluate(trained.model, self.valid).per_unit[self.metric]


@dataclass(frozen=True)
class OnEvents:
    """Trains on real sequences with early stopping, measures on validation events. See `Measure`.

    Attributes:
        report: called after each validation with the validations so far, and the figure.
    """

    log: Sequences
    vocabulary: int
    task: Task
    valid: Holdout | Passages
    metric: str
    device: str = "cpu"

    def __call__(
        self,
        recipe: Recipe,
        drawn: Mapping[str, Any],
        seed: int,
        report: Callable[[int, float], None] = lambda number, figure: None,
    ) -> np.ndarray:
        metric, student = metric_of(self.metric), recipe.full_model

        def score(model: SequenceModel) -> float:
            figure = float(metric.figure(self.units(model).mean()))
            return -figure if metric.cost else figure

        def validated(step: int, best: float, left: float) -> None:
            report(-(-step // recipe.teach.validate_every), -best if metric.cost else best)

        sizes = self.vocabulary, recipe.full_length, seed
        trained = train_on_events(
            self.log, student, *sizes, recipe.teach, score, self.device, report=validated
        )
        return self.units(trained.model)

    def units(self, model: SequenceModel) -> np.ndarray:
        """The metric per unit."""
        return self.task.evaluate(model, self.valid).per_unit[self.metric]


def metric_named(name: str | None, text: bool) -> Metric:
    """The metric of that name, in capitals or not; that of early stopping if None.

    Raises:
        FarziError: there is no such metric of a log, or of a text.
    """
    if name is None:
        return METRICS["perplexity" if text else "nDCG@10"]
    known = [one for one in METRICS if (one in OF_TEXTS) == text]
    found = next((one for one in known if one.lower() == name.lower()), None)
    if found is None:
        near = did_you_mean(name, [one.lower() for one in known])
        what = "a text" if text else "a log"
        raise FarziError(f"metric: {what} is measured by {', '.join(known)}, not {shown(name)}{near}")
    return METRICS[found]


def objective(
    summary: Summary | str | Path,
    data: Data | None = None,
    *,
    space: str | Path | Mapping[str, Any] | Space = "default",
    metric: str | None = None,
    seeds: int = 3,
    recipe: Recipe | None = None,
    device: torch.device | str = "cpu",
) -> Objective:
    """The objective that `farzi.tune` optimises, for a study of your own.

        study = optuna.create_study(direction=objective.direction, pruner=objective.pruner)
        study.optimize(objective, n_trials=60)

    The arguments are those of `farzi.tune`.

    Raises:
        FarziError: as `farzi.tune`.
    """
    from farzi.data import load_data

    summary = summary if isinstance(summary, Summary) else Summary.load(summary)
    recipe = recipe or summary.recipe
    data = load_data(recipe.data) if data is None else data
    check_vocabulary(data, summary)
    if seeds < 1:
        raise FarziError(f"seeds must be at least 1, not {seeds}")
    task, chosen = task_of(data, recipe.select.seen), metric_named(metric, summary.is_text)
    measure = OnSummary(summary.tensors.to(device), task, sample(data.valid, recipe.teach), chosen.name)
    return Objective(load_space(space, recipe), chosen, seeds, measure)
