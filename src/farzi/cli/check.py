"""`farzi check`: whether a recipe's metagradient is correct, precise and smooth, before a run starts."""

from dataclasses import asdict

import click

from farzi.cli.options import Given, SettingsCommand, count_option, run_options
from farzi.cli.output import print_json, say

SMOOTHING = "inner.optimizer.epsilon, inner.optimizer.learning_rate, outer.window, outer.learning_rate"
"""Settings that make a metagradient smoother."""


@click.command(cls=SettingsCommand, short_help="Check a recipe's metagradient.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "float64", "bfloat16"]),
    default="float32",
    show_default=True,
    help="the precision that is checked; distillation runs in float32",
)
@count_option("--directions", "random directions of finite differences", default=3)
@run_options
def check(
    source: str | None, given: Given, precision: str, directions: int, device: str, as_json: bool
) -> None:
    """Check the metagradient of a recipe's first outer step: is it correct, precise enough, and smooth?

    DATA as for farzi distill. Nothing is written. The exit status is 0 if all is well, and 1 if something
    should be changed; the last lines say what.
    """
    recipe = given.recipe(source=source)

    import torch

    from farzi.cli.progress import ConsoleProgress
    from farzi.distillation import check_recipe
    from farzi.distillation.check import precision_values
    from farzi.files import finite_values

    with ConsoleProgress() as progress:
        dtype = getattr(torch, precision)
        result = check_recipe(recipe, dtype=dtype, directions=directions, progress=progress, device=device)
    if as_json:
        names = ("sound", "loss", "norm", "metasmoothness", "steps", "before", "verdict")
        values = {name: getattr(result, name) for name in names}
        values["precision"] = precision_values(result.precision)
        values["differences"] = [{**asdict(one), "error": one.error} for one in result.differences]
        values["remedies"] = [asdict(one) for one in result.remedies]
        print_json(finite_values(values))
    else:
        say(f"loss after the run {result.loss:.6g}, length of the metagradient {result.norm:.4g}")
        say("\n".join(result.verdict))
        if not result.smooth:
            say(f"settings: {SMOOTHING}")
    if not result.sound:
        click.get_current_context().exit(1)
