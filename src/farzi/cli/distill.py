"""`farzi distill`: learn a summary of a log or a text."""

import click

from farzi.cli.options import Given, GroupedCommand, device_option, recipe_options
from farzi.cli.output import json_option, print_json


@click.command(cls=GroupedCommand, short_help="Learn a summary of a log or a text.")
@click.argument("source", metavar="[DATA]", required=False)
@click.option(
    "--out", required=True, metavar="FOLDER", help="where the summary goes; a run found there goes on"
)
@recipe_options("", "data", "student", "summary", "inner", "outer")
@click.option("--restart", is_flag=True, help="begin anew, and forget the run in the folder")
@click.option(
    "--unchecked",
    is_flag=True,
    help="begin even where the metagradient's precision is not enough (bfloat16, TF32)",
)
@device_option
@json_option
def distill(
    source: str | None, out: str, given: Given, restart: bool, unchecked: bool, device: str, as_json: bool
) -> None:
    """Learn a summary of DATA: a name (farzi data list), a file of events, a folder of texts, or a text file
    with --tokens; movielens-small if left out.

    Ctrl-C is safe: the same command goes on from the last checkpoint, to the same result.
    """
    recipe = given.with_value(("data", "source"), source).recipe()

    from farzi.cli.progress import Shown
    from farzi.distillation import distill as run
    from farzi.evaluation import shares

    with Shown() as progress:
        folder = run(recipe, out, restart=restart, unchecked=unchecked, progress=progress, device=device)
    best = [line for line in folder.history if line["best"]][-1]
    if as_json:
        print_json({"out": out, **folder.run, "best": best})
        return
    reached = shares(best["relative_to_full"])
    why = ""
    if best is folder.history[0] and len(folder.history) > 1:
        why = ", its start: no later one was better beyond the validation's noise"
    click.echo(f"{out} holds the summary of outer step {best['outer_step']}{why}.")
    click.echo(f"On the validation data its students reach, of the full data's figures: {reached}.")
    click.echo(f"Next: farzi compare {out}")
