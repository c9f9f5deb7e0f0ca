"""`farzi tune-baseline`: tune the full-data models that a summary is compared with."""

from dataclasses import asdict
from pathlib import Path

import click

from farzi.cli.data import recorded_log
from farzi.cli.options import Given, SettingsCommand, device_option, json_option, recipe_option, settings
from farzi.cli.output import print_json, say


@click.command("tune-baseline", cls=SettingsCommand, short_help="Tune the full-data models of a recipe.")
@click.argument("folder", metavar="[SUMMARY]", required=False)
@click.option("--out", required=True, metavar="FILE", help="the recipe with the best settings (.yaml)")
@click.option(
    "--cache", metavar="FOLDER", help="finished trainings, shared with farzi compare on the same data"
)
@recipe_option
@device_option
@json_option
@settings("--from", "--student", "--seen", defaults=False)
def tune_baseline(
    folder: str | None, out: str, cache: str | None, given: Given, device: str, as_json: bool
) -> None:
    """Tune training on real events, the group teach of a recipe, on the validation data.

    What is tried is teach.grid, one setting after the other, each at the best of the others:
    --set teach.grid.dropout='[0.1, 0.3]'. The recipe is that of SUMMARY, a folder of farzi distill, or of
    --recipe. With the recipe in --out nothing is left to tune: distil, train and compare by it. Ctrl-C is
    safe: the same command resumes.
    """
    given.only("tuning the baseline", "data", "teach", "select.seen", "student", without=("data.names",))

    from farzi.api import tune_baseline as run
    from farzi.cli.progress import ConsoleProgress
    from farzi.data import load_data
    from farzi.distillation import Cache
    from farzi.files import locked
    from farzi.summary import Summary

    summary = None if folder is None else Summary.load(folder)
    recipe = given.recipe(None if summary is None else summary.recipe)
    with locked(out), ConsoleProgress() as progress:  # a place that cannot be written is found out now
        data = recorded_log(recipe.data, summary, str(folder)) if summary else load_data(recipe.data)
        partial = Cache(Path(f"{out}.unfinished"))
        kept = partial if cache is None else Cache(cache)
        tuning = run(data, recipe, device=device, progress=progress, cache=kept)
        tuning.recipe(recipe).save(out)
        partial.remove()
    if as_json:
        print_json({"out": out, "tried": [asdict(one) for one in tuning.tried]})
    else:
        say(f"{tuning}\n{out}: the recipe with the best settings")
