"""`farzi train`: train a model from scratch, on a summary or on real events."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farzi.cli.data import recorded_log
from farzi.cli.options import (
    CONTROLS,
    Given,
    SettingsCommand,
    device_option,
    json_option,
    recipe_option,
    settings,
)
from farzi.cli.output import print_json, say
from farzi.errors import FarziError

if TYPE_CHECKING:
    from farzi.data import Data, Sequences
    from farzi.recipe import Recipe


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
@click.option("--with", "events", metavar="FILE", help="real events beside the summary, as a new day's")
@click.option("--share", type=float, metavar="X", help="of them in each batch, and in the loss [0.1]")
@click.option("--history", metavar="FILE", help="earlier events of the users in --with")
@click.option("--start", metavar="MODEL", help="go on from this model's weights, not from fresh ones")
@recipe_option
@device_option
@json_option
@settings("--from", "--user", "--item", "--time", "--seed", "--student", "--sequences", defaults=False)
def train(
    folder: str | None,
    out: str,
    on: str,
    events: str | None,
    share: float | None,
    history: str | None,
    start: str | None,
    given: Given,
    device: str,
    as_json: bool,
) -> None:
    """Train a model from fresh random weights on SUMMARY, a folder of farzi distill.

    Its recipe is used, with the changes given. With another --on, training stops when the validation data are
    predicted no better; SUMMARY may then be left out, and --set data.source=DATA names the data.

    With --with the summary is a replay memory: a share of each batch is real windows of FILE.
    """
    if on != "summary" and (events is not None or start is not None):
        raise FarziError(f"--{'start' if events is None else 'with'} has no effect beside --on {on}")
    for name, value in (("share", share), ("history", history)):
        if events is None and value is not None:
            raise FarziError(f"--{name} has no effect without --with")
    if on == "summary":
        read = ("data",) if events is not None else ()
        unused = ("data.source", "data.file", "data.names", "data.split")
        given.only("training on a summary", "seed", "student", "inner", *read, without=unused)
        if folder is None:
            context = click.get_current_context()
            raise click.UsageError("name the folder of a summary, or give --on full", context)
    else:
        used = ("seed", "student", "data", "teach", "select.seen", "summary.length", "summary.sequences")
        unused = ("data.names", "teach.grid", *(("summary.sequences",) if on == "full" else ()))
        where = "all of the log" if on == "full" else "real events"
        given.only(f"training on {where}", *used, without=unused)

    from farzi.api import train as run
    from farzi.cli.progress import ConsoleProgress
    from farzi.data import load_data
    from farzi.files import locked
    from farzi.models import Model
    from farzi.progress import counted, time_text
    from farzi.summary import Summary

    summary = None if folder is None else Summary.load(folder)
    recipe = given.recipe(None if summary is None else summary.recipe)
    if Path(out).is_dir():
        raise FarziError(f"{out or 'an empty path'}: is no file to write to; --out names the model's file")
    with locked(out), ConsoleProgress() as progress:  # a place that cannot be written is found out now
        if summary is not None and on == "summary":
            mixed: dict[str, Any] = {"events": events, "history": history}
            mixed |= {} if share is None else {"share": share}
            first = None if start is None else Model.load(start)
            model = run(
                summary, recipe, seed=recipe.seed, device=device, progress=progress, start=first, **mixed
            )
        else:
            data = recorded_log(recipe.data, summary, str(folder)) if summary else load_data(recipe.data)
            data = data if on == "full" else replace(data, train=_picked(on, data, recipe))
            if on != "full":  # as in farzi compare
                recipe = recipe.changed({"teach.model": None, "teach.length": None})
            elif any(path.partition(".")[0] == "student" for path in given.values):
                recipe = recipe.changed({"teach.model": None})
            whole = Path(out).is_file() or not Path(out).exists()  # no device, beside which nothing is kept
            unfinished = Path(f"{out}.unfinished") if whole else None  # an interrupted training goes on
            model = run(
                data, recipe, seed=recipe.seed, device=device, progress=progress, checkpoint=unfinished
            )
            model = replace(model, trained_on=on, data=recipe.data)
        model.save(out)
    if as_json:
        print_json(
            {"out": out, "trained_on": model.trained_on, "steps": model.steps, "seconds": model.seconds}
        )
    else:
        name = model.student.type
        on = "the summary and " + str(events) if events is not None else on
        say(f"{out}: {name} trained on {on}, {counted(model.steps, 'step')}, {time_text(model.seconds)}")


def _picked(control: str, data: "Data", recipe: "Recipe") -> "Sequences":
    """The sequences that a control picks from the data."""
    import numpy as np
    from pydantic import TypeAdapter

    from farzi.recipe.variants import Control

    pick = TypeAdapter(Control).validate_python(control).build()
    rng = np.random.default_rng(recipe.seed)
    return pick(data.pieces, recipe.summary.length, recipe.summary.sequences, rng)
