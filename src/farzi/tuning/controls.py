"""What a user would do without a summary: search the full data, or random users, in the same seconds."""

import time
from dataclasses import replace
from typing import Any

import numpy as np

from farzi.data import Data, Sequences
from farzi.errors import FarziError
from farzi.evaluation import sample, task_of
from farzi.tuning.objectives import FIRST_SEED, Objective, OnEvents
from farzi.tuning.search import Search
from farzi.tuning.space import Space

CONTROLS = ("halving", "random")
"""Full-data successive halving (arXiv 1502.07943), and the same search as on the summary, on random users."""
USERS = 0.1
"""Share of the users whose histories the control `random` trains on."""
MANY = 100_000
"""Trials of a control, which its time ends."""


class Halving:
    """The objective of full-data successive halving: one training, reported at each of its validations."""

    def __init__(self, space: Space, measure: OnEvents, cost: bool) -> None:
        self.space, self.measure, self.cost = space, measure, cost

    def __call__(self, trial: Any, left: float) -> float:
        """The best validation of a training, which ends at the latest when `left` seconds are over.

        Raises:
            optuna.TrialPruned: others were better at the same step, or the time is up.
        """
        from optuna import TrialPruned

        drawn, begun, figures = self.space.suggest(trial), time.monotonic(), list[float]()
        recipe = self.space.recipe if trial.user_attrs.get("default") else self.space.changed(drawn)

        def report(number: int, figure: float) -> None:
            figures.append(figure)
            best = min(figures) if self.cost else max(figures)
            trial.report(best, number)
            if trial.should_prune() or time.monotonic() - begun > left:
                raise TrialPruned

        self.measure(recipe, drawn, FIRST_SEED, report)
        return min(figures) if self.cost else max(figures)


def control_search(
    name: str, search: Search, data: Data, target: Objective, seconds: float, device: str
) -> Search:
    """A search without a summary, in a folder inside that of the search on the summary.

    Args:
        name: one of `CONTROLS`.
        search: that on the summary.
        data: the log or text.
        target: the objective on the summary.
        seconds: in which trials begin.
        device: where models are trained.

    Raises:
        FarziError: the space has no setting of training on real events.
    """
    space, metric = target.space.on_events(), target.metric
    if not space.parameters:
        raise FarziError(f"control {name}: no setting of the space has an effect on training on real events")
    task = task_of(data, space.recipe.select.seen)
    halving = name == "halving"
    log = data.train if halving else random_users(data, space.recipe.seed)
    valid = sample(data.valid, space.recipe.teach)
    measure = OnEvents(log, len(data.vocabulary), task, valid, metric.name, device)
    cost = metric.cost
    goal = Halving(space, measure, cost) if halving else Objective(space, metric, target.seeds, measure)
    facts = {**search.facts, "space": space.facts(), "control": name}
    folder = search.folder / f"control-{name}"
    mine = replace(search, folder=folder, objective=goal, space=space, facts=facts, halving=halving)
    return replace(mine, trials=MANY, seconds=seconds)


def random_users(data: Data, seed: int) -> Sequences:
    """The training sequences of a share `USERS` of all users; of a text, of its sentences."""
    usable = np.flatnonzero(data.pieces.lengths > 1)
    count = max(1, round(USERS * len(usable)))
    rng = np.random.default_rng([seed, 9])
    return data.pieces.select(np.sort(rng.choice(usable, count, replace=False)))
