"""`farzi compare`: a summary beside the full data and controls."""

from contextlib import ExitStack
from pathlib import Path

import click

from farzi.cli.data import recorded_log
from farzi.cli.options import Given, SettingsCommand, device_option, json_option, settings
from farzi.cli.output import print_json, say


@click.command(cls=SettingsCommand, short_help="Compare a summary with the full data and with controls.")
@click.argument("folder", metavar="SUMMARY")
@device_option
@json_option
@click.option(
    "--cache",
    metavar="FOLDER",
    help="full-data models and finished trainings, shared by comparisons on the same data",
)
@settings(
    *("--from", "--seeds", "--max-steps", "--equal-bytes/--no-equal-bytes", "--controls", "--references"),
    "--seen",
)
def compare(folder: str, given: Given, device: str, as_json: bool, cache: str | None) -> None:
    """Train models on SUMMARY, on its whole log and on controls, and print their figures.

    Controls are as many real sequences as the summary has, and as many as fit in its bytes. The summary's
    teachers are trained again unless they are in --cache. The table is also written into the summary's
    folder: results.json, comparison.md, .json and .png, and report.html. Ctrl-C is safe: the same command
    resumes.

    Another architecture than the summary was distilled with is trained by --set student.type=gru4rec.
    """
    given.only("a comparison", "data.file", "compare", "teach", "inner", "select.seen", "student")

    from farzi.api import compare as run
    from farzi.cli.progress import ConsoleProgress
    from farzi.distillation import Cache
    from farzi.files import locked
    from farzi.processes import joined
    from farzi.progress import Progress
    from farzi.report import save_report, write_page
    from farzi.summary import PARTIAL, Summary
    from farzi.tracking import journal

    summary = Summary.load(folder)
    recipe = given.recipe(summary.recipe)
    data = recorded_log(recipe.data, summary, folder)
    with joined() as processes, ExitStack() as held:
        progress = Progress()
        if processes.first:
            held.enter_context(locked(folder))  # a folder that cannot be written is found out now
            console = held.enter_context(ConsoleProgress())
            progress = held.enter_context(journal(Path(folder), console))
        partial = Cache(Path(folder) / PARTIAL)
        kept = partial if cache is None else Cache(cache)
        comparison = run(summary, data, recipe, device=device, progress=progress, cache=kept)
        if not processes.first:
            return
        rows = save_report(comparison, folder, summary.history, device)
        partial.remove()
        write_page(folder, progress)
    if as_json:
        print_json(rows)
    else:
        say(str(comparison))
