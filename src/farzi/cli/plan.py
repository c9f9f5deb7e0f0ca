"""`farzi plan`: what a recipe's distillation takes, before it is begun."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from farzi.cli.options import Given, GroupedCommand, device_option, recipe_options
from farzi.cli.output import json_option, print_facts, print_json, print_table
from farzi.errors import FarziError

if TYPE_CHECKING:
    from farzi.distillation import RunPlan
    from farzi.unroll import PlanRow


@click.command(cls=GroupedCommand, short_help="Say what a recipe will take.")
@click.argument("source", metavar="[DATA]", required=False)
@recipe_options("", "data", "student", "summary", "inner", "outer")
@click.option(
    "--memory",
    "sizes",
    multiple=True,
    metavar="SIZE",
    help='also the fastest strategy whose record fits in so many bytes, as "200MiB"; may be repeated',
)
@device_option
@json_option
def plan(source: str | None, given: Given, sizes: tuple[str, ...], device: str, as_json: bool) -> None:
    """Say what a distillation will take: bytes, model calls, FLOPs and seconds, by each memory strategy.

    A few steps are run to measure them; DATA as for farzi distill. Nothing is written.
    """
    recipe = given.with_value(("data", "source"), source).recipe()

    from farzi.data import load_data
    from farzi.distillation import plan_run
    from farzi.unroll.diagnostics.plan import MEMORIES

    dataset = load_data(recipe.data)
    click.echo("measuring a few steps", err=True)
    try:
        planned = plan_run(recipe, dataset, [*MEMORIES, *sizes] if sizes else None, device)
    except ValueError as error:
        if not str(error).startswith("memory="):
            raise
        raise FarziError(f"--{error}".replace("=", " ", 1)) from None
    if as_json:
        print_json(_facts(planned))
        return
    window, calibration = planned.window, planned.window.calibration
    outside = planned.plain_steps / planned.outer_steps
    print_facts(
        {
            "log": f"{dataset.name}, V = {len(dataset.vocabulary):,}",
            "summary": f"{recipe.summary.sequences} x {recipe.summary.length} events, "
            f"{_bytes(planned.summary_bytes)} while it is learnt from",
            "soft_events": f"{planned.feed}: {planned.feed_because}",
            "student": f"{recipe.student.name}, P = {window.parameters:,}",
            "window": f"{window.steps} steps differentiated an outer step, {outside:.1f} steps besides",
            "execution": f"{planned.execution}: {planned.because}",
            "kept_whole": f"{_bytes(calibration.intermediates)} of a step's intermediates, in Store",
            "first_calls": f"{calibration.seconds_first:.1f} s, once",
        }
    )
    numbers = ["tape", "peak", "calls", "GFLOP", "s/step", "in all"]
    print_table(["memory", *numbers], [_row(planned, row) for row in window.rows], numbers)
    click.echo(
        f"* is what farzi distill uses. In all: {planned.outer_steps:,} outer steps; the rest is for one.\n"
        "tape: MiB that the strategy keeps. peak: MiB that the window adds to the process at most.\n"
        "calls: gradients and products with second derivatives in the window."
    )
    click.echo(
        f"Not included: {planned.validations} validations, "
        f"{_time(planned.validations * planned.seconds_validation)} together; the full data's training,\n"
        f"{_time(planned.seconds_reference_step)} a step, at most "
        f"{_time(planned.reference_steps * planned.seconds_reference_step)}; reading the log; checkpoints."
    )


def _row(planned: "RunPlan", row: "PlanRow") -> list[str]:
    step = planned.seconds_outer(row.seconds)
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
            "seconds_outer_step": planned.seconds_outer(row.seconds),
            "seconds_all_steps": planned.outer_steps * planned.seconds_outer(row.seconds),
        }
        for row in window.rows
    ]
    return {
        "execution": planned.execution,
        "because": planned.because,
        "soft_events": planned.feed,
        "soft_events_because": planned.feed_because,
        "parameters": window.parameters,
        "window": window.steps,
        "outer_steps": planned.outer_steps,
        "plain_steps": planned.plain_steps,
        "summary_bytes": planned.summary_bytes,
        "data_cotangent_bytes": window.data_bytes,
        "calibration": asdict(window.calibration),
        "strategies": rows,
        "not_included": {
            "validations": planned.validations,
            "seconds_validation": planned.seconds_validation,
            "reference_steps_at_most": planned.reference_steps,
            "seconds_reference_step": planned.seconds_reference_step,
        },
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
