"""`farzi check`: whether a recipe's metagradient is correct, precise and smooth, before a run starts."""

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from farzi.cli.options import (
    DATA,
    RUN,
    Given,
    SettingsCommand,
    device_option,
    preset_option,
    recipe_option,
    set_option,
    settings,
)
from farzi.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from farzi.unroll import Check

CHECKED = ("seed", "data", "student", "teach", "summary", "init", "inner", "outer", "select.seen")
"""Settings that a check depends on."""

SMOOTHING = (
    "inner.optimizer.epsilon",
    "inner.optimizer.learning_rate",
    "outer.window",
    "outer.burn_in",
    "outer.learning_rate",
)
"""Settings that make a metagradient smoother."""

UNSOUND = 1
"""Exit status of a check with something to change."""


@click.command(cls=SettingsCommand, short_help="Check a recipe's metagradient.")
@click.argument("source", metavar="[DATA]", required=False)
@recipe_option
@preset_option
@set_option
@click.option(
    "--precision",
    type=click.Choice(["float32", "float64", "bfloat16"]),
    default="float32",
    show_default=True,
    help="the precision that is checked; distillation runs in float32",
)
@click.option(
    "--directions",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="random directions of finite differences",
)
@device_option
@json_option
@settings(*DATA, *RUN)
def check(
    source: str | None, given: Given, precision: str, directions: int, device: str, as_json: bool
) -> None:
    """Check the metagradient of a recipe's first outer step: is it correct, precise enough, and smooth?

    DATA as for farzi distill. Nothing is written. The exit status is 0 if all is well, and 1 if something
    should be changed; the last lines say what.
    """
    given.only("a check", *CHECKED)
    recipe = given.recipe(source=source)

    import torch

    from farzi.cli.progress import ConsoleProgress
    from farzi.distillation import check_recipe

    with ConsoleProgress() as progress:
        dtype = getattr(torch, precision)
        result = check_recipe(recipe, dtype=dtype, directions=directions, progress=progress, device=device)
    if as_json:
        print_json(_values(result))
    else:
        _print(result)
    if not result.sound:
        click.get_current_context().exit(UNSOUND)


def _print(result: "Check") -> None:
    from farzi.unroll.diagnostics.verdict import AGREEMENT, COSINE, SMOOTHNESS

    rows = [
        ("loss after the run", f"{result.loss:.6g}", ""),
        ("length of the metagradient", f"{result.norm:.4g}", ""),
        *(
            (f"its error along direction {k}", f"{one.error:.1e}", f"≤ {AGREEMENT:g}")
            for k, one in enumerate(result.differences, 1)
        ),
        (f"cosine, {result.precision.name} with float64", f"{result.precision.cosine:.8g}", f"≥ {COSINE:g}"),
        ("ratio of their lengths", f"{result.precision.ratio:.6g}", ""),
        ("metasmoothness", f"{result.metasmoothness:.3f}", f"≥ {SMOOTHNESS:g}"),
    ]
    print_table(("figure", "measured", "wanted"), rows, numbers=("measured", "wanted"))
    for line in result.verdict:
        click.echo(line)
    if not result.smooth:
        click.echo(f"settings: {', '.join(f'--set {path}=...' for path in SMOOTHING)}")


def _values(result: "Check") -> dict[str, Any]:
    from farzi.distillation.check import precision_values
    from farzi.files import finite_values

    values = {
        "sound": result.sound,
        "loss": result.loss,
        "norm": result.norm,
        "precision": precision_values(result.precision),
        "differences": [{**dataclasses.asdict(one), "error": one.error} for one in result.differences],
        "metasmoothness": result.metasmoothness,
        "steps": result.steps,
        "before": result.before,
        "remedies": [dataclasses.asdict(one) for one in result.remedies],
        "verdict": list(result.verdict),
    }
    return finite_values(values)
