"""`farzi check`: whether a recipe's metagradient is right, precise and smooth, before a run is begun."""

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from farzi.cli.options import Given, GroupedCommand, device_option, recipe_options
from farzi.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from farzi.unroll import Check

UNSOUND = 1
"""Exit status of a check that found something to change."""


@click.command(cls=GroupedCommand, short_help="Check a recipe's metagradient.")
@click.argument("source", metavar="[DATA]", required=False)
@recipe_options("", "data", "student", "summary", "inner", "outer")
@click.option(
    "--precision",
    type=click.Choice(["float32", "float64", "bfloat16"]),
    default="float32",
    show_default=True,
    help="the working precision to try; distillation itself runs in float32",
)
@click.option(
    "--directions",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="random directions along which the run is differenced",
)
@device_option
@json_option
def check(
    source: str | None, given: Given, precision: str, directions: int, device: str, as_json: bool
) -> None:
    """Check the metagradient of a recipe's first outer step: is it right, precise enough, and smooth?

    DATA as for farzi distill. Nothing is written. Exit status 0 where all is well, 1 where something should
    be changed; the last lines say what.
    """
    recipe = given.with_value(("data", "source"), source).recipe()

    import torch

    from farzi.cli.progress import Shown
    from farzi.distillation import check_recipe

    with Shown() as progress:
        dtype = getattr(torch, precision)
        found = check_recipe(recipe, dtype=dtype, directions=directions, progress=progress, device=device)
    if as_json:
        print_json(_values(found))
    else:
        _print(found)
    if not found.sound:
        click.get_current_context().exit(UNSOUND)


def _print(found: "Check") -> None:
    from farzi.unroll.diagnostics.verdict import AGREEMENT, COSINE, SMOOTHNESS

    rows = [
        ("loss after the run", f"{found.loss:.6g}", ""),
        ("length of the metagradient", f"{found.norm:.4g}", ""),
        *(
            (f"its error along direction {k}", f"{one.error:.1e}", f"≤ {AGREEMENT:g}")
            for k, one in enumerate(found.differences, 1)
        ),
        (f"cosine, {found.precision.name} with float64", f"{found.precision.cosine:.8g}", f"≥ {COSINE:g}"),
        ("ratio of their lengths", f"{found.precision.ratio:.6g}", ""),
        ("metasmoothness", f"{found.metasmoothness:.3f}", f"≥ {SMOOTHNESS:g}"),
    ]
    print_table(("figure", "found", "wanted"), rows, numbers=("found", "wanted"))
    for line in found.verdict:
        click.echo(line)
    if not found.smooth:
        click.echo("options: --epsilon, --inner-learning-rate, --window, --skip, --outer-learning-rate")


def _values(found: "Check") -> dict[str, Any]:
    from farzi.distillation.check import precision_values
    from farzi.files import finite_values

    values = {
        "sound": found.sound,
        "loss": found.loss,
        "norm": found.norm,
        "precision": precision_values(found.precision),
        "differences": [{**dataclasses.asdict(one), "error": one.error} for one in found.differences],
        "metasmoothness": found.metasmoothness,
        "steps": found.steps,
        "before": found.before,
        "remedies": [dataclasses.asdict(one) for one in found.remedies],
        "verdict": list(found.verdict),
    }
    return finite_values(values)
