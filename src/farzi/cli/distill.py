"""`farzi distill`: distil a log or a text into a summary."""

import click

from farzi.cli.options import Given, SettingsCommand, run_options, size_options
from farzi.cli.output import print_json, say


@click.command(cls=SettingsCommand, short_help="Distil a log or a text into a summary.")
@click.option("--out", required=True, metavar="FOLDER", help="the summary's folder; a run in it resumes")
@click.option("--restart", is_flag=True, help="start from the beginning; the run in the folder is lost")
@click.option(
    "--unchecked", is_flag=True, help="start even if the metagradient is not precise enough (bfloat16, TF32)"
)
@click.option("--cache", metavar="FOLDER", help="full-data models, shared by runs on the same data")
@click.option(
    "--report-to",
    "report_to",
    multiple=True,
    type=click.Choice(["tensorboard", "mlflow", "wandb", "csv"]),
    help="log figures there, too; may be repeated",
)
@run_options
@size_options
def distill(
    source: str | None,
    out: str,
    given: Given,
    size: dict[str, str | float | None],
    restart: bool,
    unchecked: bool,
    cache: str | None,
    report_to: tuple[str, ...],
    device: str,
    as_json: bool,
) -> None:
    """Distil DATA into a summary.

    DATA is a name (farzi data list), a file of events, a folder of texts, or a text file with --tokens;
    movielens-small if left out. Ctrl-C is safe: the same command resumes, and ends with the same summary.
    The folder also holds report.html, a page of the run for a browser.
    """
    recipe = given.recipe(source=source)

    from farzi.cli.progress import ConsoleProgress
    from farzi.distillation import Cache, Target
    from farzi.distillation import distill as run
    from farzi.evaluation import shares
    from farzi.processes import joined
    from farzi.report import write_page
    from farzi.summary import distillation_facts, nearness_fact

    shared = None if cache is None else Cache(cache)
    with joined() as processes, ConsoleProgress() as progress:
        summary = run(
            recipe,
            out,
            size=Target.of(**size),
            restart=restart,
            unchecked=unchecked,
            progress=progress,
            cache=shared,
            device=device,
            report_to=tuple(dict.fromkeys(report_to)),
        )
        if not processes.first:
            return
        write_page(out, progress, again=False)
    best = next((line for line in reversed(summary.history) if line.get("best")), {})
    if as_json:
        print_json({"out": out, **summary.run, "best": best})
        return
    say(
        f"{out} holds the summary. {distillation_facts(summary)}\n"
        f"{nearness_fact(summary)}\n"
        "On the validation data, models trained on it reach of the full data's figures: "
        f"{shares(best.get('relative_to_full', {}))}.\n"
        f"Next: farzi compare {out}"
    )
