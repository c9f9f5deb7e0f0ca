"""`farzi evaluate`: how well a student ranks what people did next."""

from typing import Literal

import click

from farzi.cli.options import Given, GroupedCommand, recipe_options
from farzi.cli.output import json_option, print_json, print_table, seen_option
from farzi.recipe import Recipe


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
@recipe_options("data")
@json_option
def evaluate(
    file: str,
    source: str | None,
    on: str,
    seen: Literal["keep", "exclude"] | None,
    given: Given,
    as_json: bool,
) -> None:
    """Rank the held-out events of DATA against the whole catalogue with the student in the file STUDENT.

    DATA and how it is split are as in the student's training, unless given; if it has moved, --from says
    where it is now.
    """
    given.refuse("has no effect on a student's figures", "data.names")

    from farzi.cli.logs import recorded_log
    from farzi.evaluation import evaluate as measure
    from farzi.students import StudentFile

    found = StudentFile.load(file)
    recorded = found.data if source is None else found.data.model_copy(update={"file": None})
    settings = given.with_value(("data", "source"), source).recipe(Recipe(data=recorded)).data
    dataset = recorded_log(settings, found.data, f"the student in {file}")
    found.check(dataset.vocabulary, dataset.name)
    holdout = dataset.test if on == "test" else dataset.valid
    seen = seen or "keep"
    metrics = measure(found.student, holdout, seen).means()
    if as_json:
        print_json({"student": file, "data": dataset.name, "on": on, "seen": seen, "metrics": metrics})
        return
    print_table(
        ("metric", "%"), [(name, f"{100 * value:.2f}") for name, value in metrics.items()], numbers=["%"]
    )
    items = len(dataset.vocabulary) - 1
    click.echo(
        f"{on} events of {len(holdout):,} users of {dataset.name}, ranked among {items:,} items; seen: {seen}"
    )
