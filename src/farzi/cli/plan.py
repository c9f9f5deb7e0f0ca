"""`farzi plan`: what a distillation will take, before it starts."""

import click

from farzi.cli.options import Given, SettingsCommand, run_options
from farzi.cli.output import print_facts, print_json, print_table
from farzi.errors import FarziError


@click.command(cls=SettingsCommand, short_help="Predict what a distillation will take.")
@click.option(
    "--memory",
    "sizes",
    multiple=True,
    metavar="SIZE",
    help='also plan the fastest strategy that fits in SIZE, as in "200MiB"; may be repeated',
)
@run_options
def plan(source: str | None, given: Given, sizes: tuple[str, ...], device: str, as_json: bool) -> None:
    """Predict the seconds and bytes of a distillation, and those of an outer step by memory strategy.

    A few steps are run and measured. DATA as for farzi distill. Nothing is written.
    """
    recipe = given.recipe(source=source)
    if recipe.outer.steps == 0:
        raise FarziError("outer.steps is 0, so there is no outer step to plan")

    from farzi.data import load_data
    from farzi.distillation import plan_run
    from farzi.unroll.diagnostics.plan import MEMORIES

    dataset = load_data(recipe.data)
    click.echo("measuring a few steps", err=True)
    try:
        planned = plan_run(recipe, dataset, [*MEMORIES, *sizes], device)
    except ValueError as error:
        if not str(error).startswith("memory="):
            raise
        raise FarziError(f"--{error}".replace("=", " ", 1)) from None
    strategies = [
        {
            "memory": row.name,
            "budget": row.budget,
            "used": row == planned.row,
            "bytes": row.peak_bytes if row.resident_bytes is None else row.resident_bytes,
            "tape_bytes": row.tape_bytes + row.host_bytes,
            "gradients": row.gradients,
            "products": row.products,
            "seconds": planned.outer_step_with(row),
        }
        for row in planned.window.rows
    ]
    facts = {
        "execution": ": ".join(planned.execution),
        "soft_inputs": ": ".join(planned.soft_inputs),
        "parameters": planned.window.parameters,
    }
    if as_json:
        print_json({"seconds": planned.seconds, "bytes": planned.bytes, **facts, "strategies": strategies})
        return
    print_facts({"data": dataset.name, "vocabulary": len(dataset.vocabulary), **facts})
    columns = ("memory", "MiB", "seconds of an outer step")
    rows = [
        (
            f"{'*' if row['used'] else ' '} {row['memory']}",
            f"{row['bytes'] / 2**20:,.1f}",
            f"{row['seconds']:.3g}",
        )
        for row in strategies
    ]
    print_table(columns, rows, columns[1:])
    click.echo("\n".join(("* is used by farzi distill.", *planned.lines())))
