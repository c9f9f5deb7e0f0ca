"""`farzi evaluate`: how well a model predicts held-out events or text."""

from typing import Literal

import click

from farzi.cli.data import recorded_log
from farzi.cli.options import (
    Given,
    SettingsCommand,
    count_option,
    device_option,
    json_option,
    settings,
    source_argument,
)
from farzi.cli.output import print_json, say
from farzi.errors import FarziError


@click.command(cls=SettingsCommand, short_help="Measure a model on held-out events.")
@click.argument("file", metavar="MODEL")
@source_argument
@click.option(
    "--on",
    type=click.Choice(["test", "valid"]),
    default="test",
    show_default=True,
    help="which held-out events are predicted",
)
@click.option(
    "--seen",
    type=click.Choice(["keep", "exclude"]),
    help="whether rankings contain the items of a user's own history [keep]",
)
@count_option(
    "--stride",
    "of a text: tokens that each window predicts; fewer give more context and cost more [half a window]",
)
@device_option
@json_option
@settings("--from")
def evaluate(
    file: str,
    source: str | None,
    on: Literal["test", "valid"],
    seen: Literal["keep", "exclude"] | None,
    stride: int | None,
    given: Given,
    device: str,
    as_json: bool,
) -> None:
    """Predict the held-out events of DATA among the whole catalogue with MODEL, a file of farzi train.

    DATA and its split are those of the model's training, unless given. If the file has moved, --from gives
    the new place.
    """
    given.only("a model's figures", "data", without=("data.names",))

    from farzi.evaluation import evaluate as measure
    from farzi.evaluation import task_of
    from farzi.files import finite_values
    from farzi.models import Model
    from farzi.provenance import provenance
    from farzi.recipe import Recipe

    model = Model.load(file)
    recorded = model.data if source is None else model.data.model_copy(update={"file": None})
    data = recorded_log(given.recipe(Recipe(data=recorded), source).data, model, file)
    model.network.to(device)
    task = task_of(data, seen or "keep", stride)
    if seen is not None and task.name != "recommendation":
        raise FarziError("--seen has no effect on a text")
    figures = measure(model, data, split=on, seen=seen or "keep", stride=stride)
    facts = {"model": file, "trained_on": model.trained_on, "data": data.name, "on": on}
    facts |= {"student": model.student.model_dump(mode="json"), "metrics": finite_values(figures.means())}
    if as_json:
        print_json({**provenance(device), **facts, **task.facts(model.network.length + 1)})
    else:
        say(str(figures))
