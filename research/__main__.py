"""`python -m research`: the paper's experiments and questions it left open, one row at a time."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from farzi.cli.app import prepare_process, run_command
from farzi.cli.options import device_option, set_option
from farzi.cli.output import print_table
from farzi.errors import FarziError
from farzi.files import locked
from farzi.progress import counted, time_text

if TYPE_CHECKING:
    from research.studies import Bench, Row, Setting, Study

OUTSIDE = 1
"""Exit status of a rerun with a figure outside its recorded interval."""

COMMAND, RESULTS = "python -m research", "research/results"


class OneLineErrors(click.Command):
    """A command whose errors are one line on stderr."""

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run a command line, `sys.argv` if none is given; leaves through `SystemExit`."""
        run_command(super().main, *args, **extra)


@click.command(
    cls=OneLineErrors,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.argument("name", required=False)
@click.option(
    "--out", metavar="FOLDER", help=f"the study's folder; a study in it is resumed [{RESULTS}/NAME]"
)
@click.option(
    "--data", "source", metavar="DATA", help="a named data set or a file, instead of the study's own"
)
@click.option("--from", "file", metavar="FILE", help="a local copy of the data")
@click.option("--recipe", metavar="FILE", help="what the rows vary, instead of the preset for the data")
@set_option
@click.option("--seeds", type=click.IntRange(min=1), metavar="N", help="students in each row")
@click.option("--summaries", type=click.IntRange(min=1), metavar="N", help="distillations in each row")
@click.option("--outer-steps", type=click.IntRange(min=1), metavar="N", help="of each distillation")
@click.option(
    "--minutes-per-distillation",
    "minutes",
    type=click.FloatRange(min=0, min_open=True),
    metavar="X",
    help="instead of a number of outer steps",
)
@click.option(
    "--max-steps",
    type=click.IntRange(min=1),
    metavar="N",
    help="end trainings on real events after N steps: a quick look, unfair to these",
)
@click.option(
    "--row", "key", metavar="KEY", help="this row alone; a recorded one is measured again and compared"
)
@click.option(
    "--cache",
    metavar="FOLDER",
    help="where summaries and trainings on real events are cached; studies may share it [OUT/cache]",
)
@device_option
@click.option("--dry-run", is_flag=True, help="show which rows are left and what they cost, and stop")
@click.option("--restart", is_flag=True, help="start again; the rows in the folder are lost")
@click.option(
    "--readme", is_flag=True, help=f"write the README.md of the results, in --out FOLDER [{RESULTS}]"
)
def study(
    name: str | None,
    out: str | None,
    source: str | None,
    file: str | None,
    recipe: str | None,
    changes: tuple[str, ...],
    seeds: int | None,
    summaries: int | None,
    outer_steps: int | None,
    minutes: float | None,
    max_steps: int | None,
    key: str | None,
    cache: str | None,
    device: str,
    dry_run: bool,
    restart: bool,
    readme: bool,
) -> None:
    """Run the study NAME: distil, train and measure row by row, and draw the conclusions.

    Without NAME the studies are listed. Each row is in FOLDER/rows.jsonl before the next one starts. After
    Ctrl-C the same command resumes. The settings a study was started with hold until --restart.
    """
    from farzi.recipe import Recipe, parse_change
    from farzi.recipe.explain import did_you_mean
    from research.studies import STUDIES, Bench, Wanted, begin, row_named

    if readme:
        from research.report import save_readme

        click.echo(f"{save_readme(out or RESULTS)} is written")
        return
    if name is None:
        print_table(("study", "question"), ((one.name, one.question) for one in STUDIES.values()))
        return
    if name not in STUDIES:
        known = list(STUDIES)
        raise FarziError(f"there is no study {name!r}; known: {', '.join(known)}{did_you_mean(name, known)}")
    from farzi.cli.progress import ConsoleProgress

    chosen = STUDIES[name]
    folder = Path(out or default_folder(chosen, source))
    base = None if recipe is None else Recipe.load(recipe)
    own = dict(map(parse_change, changes))
    wanted = Wanted(source, file, base, seeds, summaries, outer_steps, minutes, max_steps, own)
    setting = begin(chosen, folder, wanted, restart)
    with ConsoleProgress() as progress:
        bench = Bench(folder, progress, progress.doing, cache, device)
        if key is not None:
            _one(chosen, setting, bench, row_named(chosen, setting, key), restart)
        else:
            _all(chosen, setting, bench, dry_run, restart)


def default_folder(study: "Study", source: str | None) -> str:
    """`research/results/NAME`, and for other data than the study's own `research/results/NAME-DATA`."""
    words = (
        [study.name] if source in (None, study.source) else [study.name, Path(source).name.partition(".")[0]]
    )
    return f"{RESULTS}/{'-'.join(words)}"


def command_of(study: "Study", setting: "Setting", folder: Path, key: str) -> str:
    """The command that reruns a row; it names a local copy of the data FILE."""
    words = [COMMAND, study.name]
    source: str = getattr(setting.recipe.data, "source", study.source)  # other data stand in study.json
    if source != study.source:
        words += ["--data", source]
    if folder.as_posix() != default_folder(study, source):
        words += ["--out", folder.as_posix()]
    if getattr(setting.recipe.data, "file", None) is not None:
        words += ["--from FILE"]
    return " ".join([*words, "--row", key])


def _all(study: "Study", setting: "Setting", bench: "Bench", dry_run: bool, restart: bool) -> None:
    from research.report import print_findings
    from research.studies import append_row, current, left, measure, price, read_rows, save_setting

    rows = list(study.grid(setting))
    todo = left(rows, {} if restart else read_rows(bench.folder))
    if todo:
        click.echo(f"{study.name}: {len(todo)} of {len(rows)} rows left", err=not dry_run)
        cost = price(todo, bench)
        click.echo(
            f"{counted(cost.distillations, 'distillation')}, {counted(cost.trainings, 'training')} on real "
            f"events; about {time_text(cost.seconds)} at this machine's speed now, plus trainings on "
            "summaries and tests",
            err=not dry_run,
        )
    if dry_run:
        if not todo:
            seconds = sum(one.seconds for one in read_rows(bench.folder).values())
            click.echo(
                f"{study.name}: all {len(rows)} rows are recorded in {bench.folder}; measuring them took "
                f"{time_text(seconds)}"
            )
        for row in todo:
            click.echo(f"  {row.key}")
        return
    save_setting(study, bench.folder, setting, restart)
    for row in todo:
        done = measure(row, bench, command_of(study, setting, bench.folder, row.key))
        append_row(bench.folder, done)
        _save_page(study, bench.folder, rows)
    recorded = current(rows, read_rows(bench.folder))
    print_findings(study.conclude(recorded))
    page = _save_page(study, bench.folder, rows)
    click.echo(f"{page} holds the table, the picture and the conclusion")


def _save_page(study: "Study", folder: Path, rows: "list[Row]") -> Path:
    """Write the page of all rows recorded so far, by whichever process."""
    from research.report import save_study
    from research.studies import current, read_rows

    with locked(folder, wait=True):
        return save_study(study, folder, current(rows, read_rows(folder)))


def _one(study: "Study", setting: "Setting", bench: "Bench", row: "Row", restart: bool) -> None:
    from research.studies import append_row, left, measure, read_rows, rerun, save_setting

    recorded = {} if restart else read_rows(bench.folder)
    if left([row], recorded):
        save_setting(study, bench.folder, setting, restart)
        append_row(bench.folder, measure(row, bench, command_of(study, setting, bench.folder, row.key)))
        _save_page(study, bench.folder, list(study.grid(setting)))
        click.echo(f"{row.key} is recorded in {bench.folder}")
        return
    compared = rerun(row, recorded[row.key], bench)
    print_table(
        ("figure", "now", "recorded interval", "within"),
        (
            (one.figure, f"{one.mean:.4g}", f"{one.low:.4g} to {one.high:.4g}", "yes" if one.within else "NO")
            for one in compared
        ),
        ("now",),
    )
    outside = [one.figure for one in compared if not one.within]
    if outside:
        click.echo(f"{row.key} lies outside its recorded interval: {', '.join(outside)}")
        click.get_current_context().exit(OUTSIDE)
    click.echo(f"{row.key} lies in its recorded interval")


def main() -> None:
    """The entry point of `python -m research`."""
    prepare_process()
    study.main(prog_name=COMMAND)


if __name__ == "__main__":
    main()
