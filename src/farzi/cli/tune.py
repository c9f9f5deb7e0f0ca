"""`farzi tune`: search a model's settings on a summary, and confirm them on the full data."""

from pathlib import Path

import click

from farzi.cli.data import recorded_log
from farzi.cli.options import (
    Given,
    SettingsCommand,
    count_option,
    device_option,
    json_option,
    recipe_option,
    settings,
)
from farzi.cli.output import print_json, say


@click.command(cls=SettingsCommand, short_help="Search a model's settings on a summary, and confirm them.")
@click.argument("folder", metavar="SUMMARY")
@click.option(
    "--space",
    default="default",
    show_default=True,
    metavar="FILE",
    help="settings and their values: TOML as docs/tune.md says, RecBole's hyper.test, or the word default",
)
@count_option("--trials", "settings tried on the summary, at most; the recipe's own is the first", 60)
@click.option("--minutes", type=float, metavar="X", help="in which trials begin, at most")
@click.option("--metric", metavar="NAME", help="what is compared [ndcg@10; of a text perplexity]")
@count_option("--seeds", "trainings of each setting, on the summary and on the full data", 3)
@count_option("--jobs", "processes of one thread each", 1)
@click.option(
    "--confirm",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    metavar="N",
    help="best settings that are trained on the full data, beside the recipe's own",
)
@click.option(
    "--control",
    type=click.Choice(["halving", "random"]),
    multiple=True,
    help="also search without the summary in the same seconds, its distillation counted in: by successive "
    "halving on the full data, or on random users; may be repeated",
)
@click.option("--out", metavar="FOLDER", help="for the journal and the results [SUMMARY/tune]")
@click.option("--restart", is_flag=True, help="forget the search in --out")
@click.option("--cache", metavar="FOLDER", help="full-data models, shared with other commands")
@recipe_option
@device_option
@json_option
@settings("--from", "--seen", defaults=False)
def tune(
    folder: str,
    space: str,
    trials: int,
    minutes: float | None,
    metric: str | None,
    seeds: int,
    jobs: int,
    confirm: int,
    control: tuple[str, ...],
    out: str | None,
    restart: bool,
    cache: str | None,
    given: Given,
    device: str,
    as_json: bool,
) -> None:
    """Try settings of the model and its training on SUMMARY, then train the best ones on the full data.

    Trials are drawn by Optuna (pip install 'farzi[tune]'). The best settings are those of the validation
    events; figures of the full data are those of the test events. --out gets trials.ndjson, search.png,
    confirmed.json, and best-config.json, a recipe: farzi train SUMMARY --recipe OUT/best-config.json.

    Ctrl-C is safe: the same command resumes. Several of them at the same time share one search.
    """
    given.only(
        "a search", "data.file", "student", "inner", "teach", "select.seen", "seed", without=("teach.grid",)
    )

    from farzi.api import tune as run
    from farzi.cli.progress import ConsoleProgress
    from farzi.distillation import Cache
    from farzi.summary import Summary

    summary = Summary.load(folder)
    recipe = given.recipe(summary.recipe)
    data = recorded_log(recipe.data, summary, folder)
    with ConsoleProgress() as progress:
        tuned = run(
            summary,
            data,
            space=space,
            trials=trials,
            minutes=minutes,
            metric=metric,
            seeds=seeds,
            jobs=jobs,
            confirm=confirm,
            control=control,
            recipe=recipe,
            out=out or Path(folder) / "tune",
            restart=restart,
            progress=progress,
            cache=None if cache is None else Cache(cache),
            device=device,
        )
    if as_json:
        print_json(tuned.facts())
    else:
        say(str(tuned))
