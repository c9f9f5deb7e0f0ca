"""`farzi evaluate`: how well a model predicts held-out events or text."""

from typing import Literal

import click

from farzi.cli.options import Given, SettingsCommand, device_option, seen_option, set_option, settings
from farzi.cli.output import json_option, print_json


@click.command(cls=SettingsCommand, short_help="Measure a model on held-out events.")
@click.argument("file", metavar="MODEL")
@click.argument("source", metavar="[DATA]", required=False)
@click.option(
    "--on",
    type=click.Choice(["test", "valid"]),
    default="test",
    show_default=True,
    help="which held-out events are predicted",
)
@seen_option("keep")
@click.option(
    "--stride",
    type=click.IntRange(min=1),
    metavar="N",
    help="of a text: tokens that each window predicts; fewer give more context and cost more [half a window]",
)
@set_option
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

    from farzi.cli.logs import recorded_log
    from farzi.errors import FarziError
    from farzi.evaluation import evaluate as measure
    from farzi.evaluation import task_of
    from farzi.files import finite_values
    from farzi.models import Model
    from farzi.provenance import provenance
    from farzi.recipe import Recipe

    model = Model.load(file)
    recorded = model.data if source is None else model.data.model_copy(update={"file": None})
    data = recorded_log(given.recipe(Recipe(data=recorded), source).data, model.data, f"the model in {file}")
    model.network.to(device)
    task = task_of(data, seen or "keep", stride)
    if seen is not None and task.name != "recommendation":
        raise FarziError("--seen has no effect on a text")
    figures = measure(model, data, split=on, seen=seen or "keep", stride=stride)
    if as_json:
        facts = {
            **provenance(device),
            "model": file,
            "student": model.student.model_dump(mode="json"),
            "trained_on": model.trained_on,
            "data": data.name,
            "on": on,
            **task.facts(model.network.length + 1),
            "metrics": finite_values(figures.means()),
        }
        print_json(facts)
    else:
        click.echo(str(figures))
