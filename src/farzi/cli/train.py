"""`farzi train`: train a model from scratch, on a summary or on real events."""

from typing import TYPE_CHECKING

import click

from farzi.cli.options import (
    CONTROLS,
    Given,
    SettingsCommand,
    device_option,
    recipe_option,
    set_option,
    settings,
)
from farzi.cli.output import json_option, print_json

if TYPE_CHECKING:
    from farzi.data import Data
    from farzi.models import Model
    from farzi.recipe import Recipe
    from farzi.summary import Summary


@click.command(cls=SettingsCommand, short_help="Train a model on a summary or on real events.")
@click.argument("folder", metavar="[SUMMARY]", required=False)
@click.option("--out", required=True, metavar="FILE", help="the model's file (.safetensors)")
@click.option(
    "--on",
    type=click.Choice(["summary", "full", *CONTROLS]),
    default="summary",
    show_default=True,
    help="the summary, all of its log, or --sequences real windows, picked as by farzi compare --controls",
)
@recipe_option
@set_option
@device_option
@json_option
@settings("--from", "--seed", "--student", "--sequences", defaults=False)
def train(folder: str | None, out: str, on: str, given: Given, device: str, as_json: bool) -> None:
    """Train a model from fresh random weights on SUMMARY, a folder of farzi distill.

    Its recipe is used, with the changes given. With another --on, training stops when the validation data are
    predicted no better; SUMMARY may then be left out, and --set data.source=DATA names the data.
    """
    if on == "summary":
        if folder is None:
            raise click.UsageError(
                "name the folder of a summary, or give --on full", click.get_current_context()
            )
        given.only("training on a summary", "seed", "student", "inner")
    else:
        used = ("seed", "student", "data", "teach", "select.seen", "summary.length")
        if on != "full":
            used = (*used, "summary.sequences")
        where = "on all of the log" if on == "full" else "on real events"
        given.only(f"training {where}", *used, without=("data.names", "teach.grid"))

    from farzi.summary import Summary

    summary = None if folder is None else Summary.load(folder)
    recipe = given.recipe(None if summary is None else summary.recipe)
    if on == "summary" and summary is not None:
        model = _on_summary(summary, recipe, device)
    else:
        model = _on_events(on, recipe, _log(folder, summary, recipe), device)
    model.save(out)
    if as_json:
        print_json({"out": out, "trained_on": on, "steps": model.steps, "seconds": model.seconds})
    else:
        click.echo(
            f"{out}: {recipe.student.type} trained on {on}, {model.steps:,} steps, {model.seconds:.1f} s"
        )


def _on_summary(summary: "Summary", recipe: "Recipe", device: str) -> "Model":
    from farzi.models import Model
    from farzi.training import train_on_summary

    trained = train_on_summary(summary.tensors.to(device), recipe.student, recipe.inner, recipe.seed)
    return Model(
        trained.model,
        recipe.student,
        summary.vocabulary,
        summary.recipe.data,
        "summary",
        trained.seconds,
        trained.steps,
    )


def _log(path: str | None, summary: "Summary | None", recipe: "Recipe") -> "Data":
    from farzi.cli.logs import recorded_log
    from farzi.data import load_data

    if summary is None:
        return load_data(recipe.data)
    owner = f"the summary in {path}"
    return recorded_log(recipe.data, summary.recipe.data, owner, summary.run.get("data_sha256"))


def _on_events(on: str, recipe: "Recipe", data: "Data", device: str) -> "Model":
    import numpy as np
    from pydantic import TypeAdapter

    from farzi.cli.progress import ConsoleProgress
    from farzi.evaluation import task_of
    from farzi.models import Model
    from farzi.recipe.variants import Control
    from farzi.training import train_on_events

    length, sequences = recipe.summary.length, data.train
    if on != "full":
        control = TypeAdapter(Control).validate_python(on).build()
        rng = np.random.default_rng(recipe.seed)
        sequences = control(data.pieces, length, recipe.summary.sequences, rng)
    task = task_of(data, recipe.select.seen)
    with ConsoleProgress() as progress:
        trained = train_on_events(
            sequences,
            recipe.student,
            len(data.vocabulary),
            length,
            recipe.seed,
            recipe.teach,
            lambda model: task.score(model, data.valid),
            device,
            lambda step, score: progress.passing(f"step {step}, validation {task.score_text(score)}"),
        )
    return Model(
        trained.model, recipe.student, data.vocabulary, recipe.data, on, trained.seconds, trained.steps
    )
