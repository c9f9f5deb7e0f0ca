"""`farzi train`: train a student from scratch, on a summary or on real events."""

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from farzi.cli.options import Given, GroupedCommand, device_option, recipe_options
from farzi.cli.output import json_option, print_json

if TYPE_CHECKING:
    from farzi.data import Data
    from farzi.models import Model
    from farzi.recipe import Recipe
    from farzi.training import EventTraining, Trained


@click.command(cls=GroupedCommand, short_help="Train a student on a summary or on real events.")
@click.argument("folder", metavar="[SUMMARY]", required=False)
@click.option("--out", required=True, metavar="FILE", help="where the student goes (.safetensors)")
@click.option(
    "--on",
    type=click.Choice(["summary", "full", "random", "head", "herding", "k-centre"]),
    default="summary",
    show_default=True,
    help="the summary, all of its log, or --sequences windows of it: of random or the most active users, or "
    "picked as farzi compare --controls says",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="X",
    help="Adam's, on real events; if left out, the middle one of those that farzi compare tries",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    metavar="N",
    help="windows that a step on real events reads; however many, the validation is measured after as many "
    "of them  [128]",
)
@recipe_options("", "data", "student", "summary.sequences", "summary.length", "inner")
@device_option
@json_option
def train(
    folder: str | None,
    out: str,
    on: str,
    learning_rate: float | None,
    batch: int | None,
    given: Given,
    device: str,
    as_json: bool,
) -> None:
    """Train a student from fresh random weights on SUMMARY, the folder of a summary.

    Its recipe holds unless options say otherwise. With any other --on, SUMMARY may be left out;
    training stops when the validation events are predicted no better. If the summary's log has moved, --from
    says where it is now.
    """
    if on == "summary":
        if folder is None:
            raise click.UsageError(
                "name the folder of a summary, or give --on full", click.get_current_context()
            )
        given.refuse("has no effect on training on a summary", "data", "summary")
        if learning_rate is not None:
            raise click.UsageError("on a summary it is --inner-learning-rate", click.get_current_context())
        if batch is not None:
            raise click.UsageError("on a summary it is --inner-batch", click.get_current_context())
    else:
        given.refuse("has no effect on training on real events", "inner", "data.names")
    if on == "full":
        given.refuse("has no effect on training on all of the log", "summary.sequences")

    from farzi.summary import Summary
    from farzi.training import EventTraining

    found = None if folder is None else Summary.load(folder)
    recipe = given.recipe(None if found is None else found.recipe)
    if on == "summary" and found is not None:
        file, trained = _on_summary(found, recipe, device)
    else:
        training = EventTraining()
        training = training if batch is None else training.reading(batch)
        training = training if learning_rate is None else replace(training, learning_rate=learning_rate)
        file, trained = _on_events(on, recipe, training, _log(folder, found, recipe), device)
    file.save(out)
    if as_json:
        print_json({"out": out, "trained_on": on, "steps": trained.steps, "seconds": trained.seconds})
    else:
        click.echo(
            f"{out}: {recipe.student.name} trained on {on}, {trained.steps} steps, {trained.seconds:.1f} s"
        )


def _on_summary(folder: "Summary", recipe: "Recipe", device: str) -> tuple["Model", "Trained"]:
    from farzi.models import Model
    from farzi.training import train_on_summary

    trained = train_on_summary(folder.tensors.to(device), recipe.student, recipe.inner, recipe.seed)
    took = trained.seconds, trained.steps
    model = Model(trained.model, recipe.student, folder.vocabulary, folder.recipe.data, "summary", *took)
    return model, trained


def _log(path: str | None, folder: "Summary | None", recipe: "Recipe") -> "Data":
    from farzi.cli.logs import recorded_log
    from farzi.data import load_data

    if folder is None:
        return load_data(recipe.data)
    owner = f"the summary in {path}"
    return recorded_log(recipe.data, folder.recipe.data, owner, folder.run.get("data_sha256"))


def _on_events(
    on: str, recipe: "Recipe", training: "EventTraining", dataset: "Data", device: str
) -> tuple["Model", "Trained"]:
    import numpy as np

    from farzi.cli.progress import Shown
    from farzi.evaluation import task_of
    from farzi.evaluation.controls import SUBSETS
    from farzi.models import Model
    from farzi.training import train_on_events

    length, log = recipe.summary.length, dataset.train
    if on != "full":
        log = SUBSETS[on](
            dataset.pieces, length, recipe.summary.sequences, np.random.default_rng(recipe.seed)
        )
    kind = task_of(dataset, recipe.outer.seen)
    with Shown() as progress:
        trained = train_on_events(
            log,
            recipe.student,
            len(dataset.vocabulary),
            length,
            recipe.seed,
            training,
            lambda student: kind.score(student, dataset.valid),
            device,
            lambda step, figure: progress.passing(f"step {step}, validation {kind.told(figure)}"),
        )
    took = trained.seconds, trained.steps
    return Model(trained.model, recipe.student, dataset.vocabulary, recipe.data, on, *took), trained
