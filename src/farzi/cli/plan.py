"""`farzi plan`: what a distillation will take, before it starts."""

from dataclasses import asdict
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
from farzi.cli.output import json_option, print_facts, print_json, print_table
from farzi.errors import FarziError

if TYPE_CHECKING:
    from farzi.distillation import RunPlan
    from farzi.unroll import PlanRow


PLANNED = ("seed", "data", "student", "teach", "summary", "init", "inner", "outer", "select")
"""Groups of settings that a plan depends on."""


@click.command(cls=SettingsCommand, short_help="Predict what a distillation will take.")
@click.argument("source", metavar="[DATA]", required=False)
@recipe_option
@preset_option
@set_option
@click.option(
    "--memory",
    "sizes",
    multiple=True,
    metavar="SIZE",
    help='also plan the fastest strategy that fits in SIZE, as in "200MiB"; may be repeated',
)
@device_option
@json_option
@settings(*DATA, *RUN)
def plan(source: str | None, given: Given, sizes: tuple[str, ...], device: str, as_json: bool) -> None:
    """Predict the bytes, model calls, FLOPs and seconds of a distillation, for each memory strategy.

    A few steps are run and measured. DATA as for farzi distill. Nothing is written.
    """
    given.only("a plan", *PLANNED)
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
    if as_json:
        print_json(_facts(planned))
        return
    window, calibration = planned.window, planned.window.calibration
    print_facts(
        {
            "log": f"{dataset.name}, V = {len(dataset.vocabulary):,}",
            "summary": f"{recipe.summary.sequences} x {recipe.summary.length} events",
            "soft_inputs": ": ".join(planned.soft_inputs),
            "student": f"{recipe.student.type}, P = {window.parameters:,}",
            "window": f"{window.steps} differentiated steps per outer step",
            "execution": ": ".join(planned.execution),
            "intermediates": f"{_bytes(calibration.intermediates)} per step, in Store",
            "first_calls": f"{calibration.seconds_first:.1f} s, once",
        }
    )
    numbers = ["tape", "peak", "calls", "GFLOP", "s/step", "total"]
    print_table(["memory", *numbers], [_row(planned, row) for row in window.rows], numbers)
    click.echo(
        f"* is used by farzi distill. Columns are for one outer step, total for {planned.outer_steps:,}.\n"
        "tape: MiB stored by the strategy. peak: most MiB that the window adds to the process.\n"
        "calls: gradients and products with second derivatives in the window."
    )
    for line in planned.lines():
        click.echo(line)


def _row(planned: "RunPlan", row: "PlanRow") -> list[str]:
    step = planned.outer_step_with(row)
    used = "* " if row.memory == planned.used and row.budget is None else "  "
    name = row.name if row.budget is None else f"{row.budget}: {row.name}"
    peak = row.peak_bytes if row.resident_bytes is None else row.resident_bytes
    return [
        used + name,
        f"{(row.tape_bytes + row.host_bytes) / 2**20:,.1f}",
        f"{peak / 2**20:,.1f}",
        f"{row.gradients} + {row.products}",
        f"{row.flops / 1e9:,.1f}",
        f"{step:.3g}",
        _time(step * planned.outer_steps),
    ]


def _facts(planned: "RunPlan") -> dict[str, Any]:
    """The plan as JSON; sizes in bytes, times in seconds."""
    window = planned.window
    rows = [
        {
            "memory": row.name,
            "budget": row.budget,
            "used": row.memory == planned.used and row.budget is None,
            "tape_bytes": row.tape_bytes,
            "host_bytes": row.host_bytes,
            "peak_bytes": row.peak_bytes,
            "resident_bytes": row.resident_bytes,
            "gradients": row.gradients,
            "products": row.products,
            "updates": row.updates,
            "flops": row.flops,
            "seconds_window": row.seconds,
            "seconds_outer_step": planned.outer_step_with(row),
            "seconds_all_steps": planned.outer_steps * planned.outer_step_with(row),
        }
        for row in window.rows
    ]
    return {
        "execution": planned.execution[0],
        "because": planned.execution[1],
        "soft_inputs": planned.soft_inputs[0],
        "soft_inputs_because": planned.soft_inputs[1],
        "parameters": window.parameters,
        "window": window.steps,
        "seconds": planned.seconds,
        "bytes": planned.bytes,
        "teach_steps_at_most": planned.teach_steps,
        "outer_steps": planned.outer_steps,
        "validations": planned.validations,
        "seconds_teach_step": planned.teach_step,
        "seconds_inner_step": planned.inner_step,
        "seconds_outer_step": planned.outer_step,
        "seconds_validation": planned.validation,
        "data_cotangent_bytes": window.data_bytes,
        "calibration": asdict(window.calibration),
        "strategies": rows,
    }


def _bytes(size: float) -> str:
    for unit, name in ((2**30, "GiB"), (2**20, "MiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size / 2**10:.1f} KiB"


def _time(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.2g} s"
    return f"{seconds:,.0f} s" if seconds < 600 else f"{seconds / 60:,.0f} min"
