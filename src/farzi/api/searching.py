"""Searching a model's settings on a summary."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from farzi.data import Data, load_data
from farzi.distillation import Cache
from farzi.files import place
from farzi.progress import PrintedProgress, Progress
from farzi.recipe import Recipe
from farzi.summary import Summary
from farzi.surroundings import undisturbed
from farzi.tuning import Plan, Space, Tuned, objective, search_and_confirm


@undisturbed()
def tune(
    summary: Summary | str | Path,
    data: Data | None = None,
    *,
    space: str | Path | Mapping[str, Any] | Space = "default",
    trials: int = 60,
    minutes: float | None = None,
    metric: str | None = None,
    seeds: int = 3,
    jobs: int = 1,
    confirm: int = 3,
    control: str | Sequence[str] = (),
    recipe: Recipe | None = None,
    out: str | Path | None = None,
    restart: bool = False,
    progress: Progress | None = None,
    cache: Cache | str | Path | None = None,
    device: torch.device | str = "cpu",
) -> Tuned:
    """Search a model's settings on a summary, and train the best ones and the recipe's own on the full data.

    Needs Optuna: `pip install 'farzi[tune]'`. `farzi.tuning.objective` gives the objective for a study of
    your own.

    Args:
        summary: from `distill`, or its folder.
        data: the log or text that it was distilled from; read by the summary's recipe if left out.
        space: which settings, and their values: a file, "default", or a dict (`farzi.tuning.load_space`).
        trials: settings tried on the summary, at most; the recipe's own is the first.
        minutes: in which trials begin, at most, interruptions not counted.
        metric: "nDCG@10", "HR@10", ...; nDCG@10 of a log, the perplexity of a text if left out.
        seeds: trainings of each setting, on the summary and on the full data.
        jobs: processes of one thread each.
        confirm: how many of the best settings are trained on the full data, beside the recipe's own; 0 for
            none of them.
        control: "halving", "random", or both: searches without a summary in the same seconds, the
            distillation's counted in; what they find is trained on the full data, too.
        recipe: another recipe than the summary's.
        out: a folder for the journal and the results. The same call goes on with the search there, and
            several calls at the same time share it. If left out, nothing is stored.
        restart: forget the search in `out`.
        progress: as of `distill`.
        cache: a folder of full-data trainings, as of `distill`; a folder in `out` if left out.
        device: where models are trained.

    Raises:
        FarziError: Optuna is not installed; the space has an error; there is no such metric; the data have
            other items than the summary; or `out` holds a search of another space, metric or summary.
        KeyboardInterrupt: interrupted; with `out` the same call goes on.
    """
    from farzi.report.plots import plot_search

    folder = None if out is None else place(out)
    summary = summary if isinstance(summary, Summary) else Summary.load(summary)
    data = load_data((recipe or summary.recipe).data) if data is None else data
    try:
        tuned = search_and_confirm(
            summary,
            data,
            objective(summary, data, space=space, metric=metric, seeds=seeds, recipe=recipe, device=device),
            Plan(trials, minutes, jobs, confirm, control, restart),
            folder,
            Cache.at(cache),
            progress or PrintedProgress(),
            str(device),
        )
    except KeyboardInterrupt:
        if folder is None:
            raise
        raise KeyboardInterrupt("stopped; finished trials are kept, the same call goes on there") from None
    if folder is not None:
        plot_search(tuned, folder / "search.png")
    return tuned
