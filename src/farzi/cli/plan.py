"""`farzi plan`: what a distillation will take, before it starts."""

from typing import TYPE_CHECKING, Any

import click

from farzi.cli.options import Given, SettingsCommand, arguments_as_options, run_options, size_options
from farzi.cli.output import print_facts, print_json, print_table, say
from farzi.errors import FarziError

if TYPE_CHECKING:
    from farzi.distillation import RunPlan


@click.command(cls=SettingsCommand, short_help="Predict what a distillation will take.")
@click.option(
    "--memory",
    "sizes",
    multiple=True,
    metavar="SIZE",
    help='also plan the fastest strategy that fits in SIZE, as in "200MiB"; may be repeated',
)
@run_options
@size_options
def plan(
    source: str | None,
    given: Given,
    size: dict[str, str | float | None],
    sizes: tuple[str, ...],
    device: str,
    as_json: bool,
) -> None:
    """Predict the seconds and bytes of a distillation, and those of an outer step by memory strategy.

    A few steps are run and measured. DATA as for farzi distill. Nothing is written.
    """
    recipe = given.recipe(source=source)
    if recipe.outer.steps == 0:
        raise FarziError("outer.steps is 0, so there is no outer step to plan")

    from farzi.data import load_data
    from farzi.distillation import Target, plan_run, sized
    from farzi.unroll.diagnostics.plan import MEMORIES

    target = Target.of(**size)
    dataset = load_data(recipe.data)
    if target is not None:
        recipe, line = sized(recipe, dataset, target, device)
        say(arguments_as_options(line), err=True)
    say("measuring a few steps", err=True)
    try:
        planned = plan_run(recipe, dataset, [*MEMORIES, *sizes], device)
    except ValueError as error:
        if not str(error).startswith("memory="):
            raise
        raise FarziError(f"--{error}".replace("=", " ", 1)) from None
    if as_json:
        print_json(_values(planned))
        return
    print_facts(
        {
            "data": dataset.name,
            "vocabulary": len(dataset.vocabulary),
            "execution": ": ".join(planned.execution),
            "soft_inputs": ": ".join(planned.soft_inputs),
        }
    )
    columns = ("memory", "MiB of the tape", "seconds of an outer step")
    rows = [
        (
            f"{'*' if row == planned.row else ' '} {row.name}{f' in {row.budget}' if row.budget else ''}",
            f"{(row.tape_bytes + row.host_bytes) / 2**20:,.1f}",
            f"{planned.outer_step_with(row):.3g}",
        )
        for row in planned.window.rows
    ]
    print_table(columns, rows, columns[1:])
    say("\n".join(("* is used by farzi distill.", *planned.lines())))


def _values(planned: "RunPlan") -> dict[str, Any]:
    """The plan as JSON; sizes in bytes, times in seconds."""
    teach, select = ("teach_steps", "teach_step"), ("validations", "validation")
    stages = (*teach, "initialise", "outer_steps", "outer_step", *select)
    limits = ("least_teach_steps", "least_outer_steps", "minutes")
    whole = ("seconds", "bytes", *stages, *limits, "execution", "soft_inputs")
    measured = ("tape_bytes", "host_bytes", "peak_bytes", "resident_bytes", "gradients", "products", "flops")
    strategies = [
        {
            "memory": row.name,
            "budget": row.budget,
            "used": row == planned.row,
            **{name: getattr(row, name) for name in measured},
            "outer_step": planned.outer_step_with(row),
        }
        for row in planned.window.rows
    ]
    values = {name: getattr(planned, name) for name in whole}
    return {**values, "parameters": planned.window.parameters, "strategies": strategies}
