"""`farzi evaluate`: how well a student predicts what people did next, or how a text goes on."""

from typing import TYPE_CHECKING, Literal

import click

from farzi.cli.options import Given, GroupedCommand, device_option, recipe_options
from farzi.cli.output import json_option, print_json, print_table, seen_option
from farzi.errors import FarziError
from farzi.recipe import Recipe

if TYPE_CHECKING:
    from farzi.evaluation import Metric


@click.command(cls=GroupedCommand, short_help="Measure a student on held-out events.")
@click.argument("file", metavar="STUDENT")
@click.argument("source", metavar="[DATA]", required=False)
@click.option(
    "--on",
    type=click.Choice(["test", "valid"]),
    default="test",
    show_default=True,
    help="the held-out events that count",
)
@seen_option("keep")
@click.option(
    "--stride",
    type=click.IntRange(min=1),
    metavar="N",
    help="of a text: tokens that each window predicts; fewer give each more context, and take longer "
    "[half of the window]",
)
@recipe_options("data")
@device_option
@json_option
def evaluate(
    file: str,
    source: str | None,
    on: str,
    seen: Literal["keep", "exclude"] | None,
    stride: int | None,
    given: Given,
    device: str,
    as_json: bool,
) -> None:
    """Predict the held-out events of DATA, among the whole catalogue, with the student in the file STUDENT.

    DATA and how it is split are as in the student's training, unless given; if it has moved, --from says
    where it is now.
    """
    given.refuse("has no effect on a student's figures", "data.names")

    from farzi.cli.logs import recorded_log
    from farzi.evaluation import LanguageTask, metric_of, task_of
    from farzi.files import finite_values
    from farzi.models import Model
    from farzi.provenance import provenance

    found = Model.load(file)
    recorded = found.data if source is None else found.data.model_copy(update={"file": None})
    settings = given.with_value(("data", "source"), source).recipe(Recipe(data=recorded)).data
    dataset = recorded_log(settings, found.data, f"the student in {file}")
    found.check(dataset.vocabulary, dataset.name)
    holdout = dataset.test if on == "test" else dataset.valid
    kind = task_of(dataset, seen or "keep")
    if stride is not None:
        if not isinstance(kind, LanguageTask):
            raise FarziError(f"--stride is for texts, and {dataset.name} is a log")
        if stride > found.network.length:
            raise FarziError(f"--stride {stride} is longer than the student's {found.network.length} tokens")
        kind = LanguageTask(stride)
    figures = kind.evaluate(found.network.to(device), holdout)
    metrics, window, items = figures.means(), found.network.length + 1, len(dataset.vocabulary) - 1
    if as_json:
        facts = {
            **provenance(device),
            "student": file,
            "architecture": found.student.model_dump(mode="json"),
            "trained_on": found.trained_on,
            "data": dataset.name,
            "on": on,
            **kind.facts(window),
            "metrics": finite_values(metrics),
        }
        print_json(facts)
        return
    print_table(
        ("metric", "figure"),
        [(name, _shown(metric_of(name), value)) for name, value in metrics.items()],
        numbers=["figure"],
    )
    said = kind.statement(len(next(iter(figures.per_unit.values()))), items, window)
    click.echo(f"{dataset.name}, {on} {said}")


def _shown(metric: "Metric", figure: float) -> str:
    return f"{metric.scaled(figure):.2f} {metric.unit}".rstrip()
