"""`farzi compare`: a summary beside the full data and controls."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from farzi.cli.options import (
    CONTROLS,
    STUDENTS,
    Commas,
    Given,
    SettingsCommand,
    device_option,
    set_option,
    setting_option,
    settings,
)
from farzi.cli.output import json_option, print_json
from farzi.errors import FarziError

if TYPE_CHECKING:
    from farzi.data import Data
    from farzi.evaluation import Comparison
    from farzi.recipe import Recipe
    from farzi.summary import Summary


@click.command(cls=SettingsCommand, short_help="Compare a summary with the full data and with controls.")
@click.argument("folder", metavar="SUMMARY")
@setting_option("--seeds", path="compare.seeds", kind=int, help="models trained on each kind of data [5]")
@setting_option(
    "--max-steps",
    path="teach.max_steps",
    kind=int,
    help="end training on real events after N steps: quick, and unfair to the full data and the controls",
)
@setting_option(
    "--equal-bytes/--no-equal-bytes",
    path="compare.equal_bytes",
    help="also as many real sequences as fit in the summary's bytes: slow, most of a small log [yes]",
)
@setting_option(
    "--controls",
    path="compare.controls",
    type=Commas(),
    metavar="A,B,...",
    help="which real sequences to compare with: random, head (of the most active users), herding (together "
    "like the whole log), k-centre (none of the log far from all of them), or package.module:Class "
    "[random,head]",
)
@click.option(
    "--students",
    type=Commas(),
    metavar="A,B,...",
    help=f"train these models, each beside its own training on the full data: {', '.join(STUDENTS)}, or "
    "package.module:Class",
)
@setting_option(
    "--seen",
    path="select.seen",
    kind=("keep", "exclude"),
    help="whether rankings contain the items of a user's own history [as in the summary's recipe]",
)
@set_option
@device_option
@json_option
@settings("--from")
def compare(
    folder: str,
    students: tuple[str, ...] | None,
    given: Given,
    device: str,
    as_json: bool,
) -> None:
    """Train models on SUMMARY, on its whole log and on controls, and print their figures.

    Controls are as many real sequences as the summary has, and as many as fit in its bytes. The table is also
    written into the summary's folder: results.json, comparison.md, .json and .png.

    With --students the question is whether a summary that was distilled with one architecture trains others.
    That table is written to students.json and students.md.
    """
    used = ("data.file", "compare", "teach", "inner", "select.seen")
    if students is None:
        given.only("a comparison", *used, "student")
    else:
        given.only("a comparison of students", *used, without=("compare.controls", "compare.equal_bytes"))
    values = given.values()
    for path, kind, known in (("compare.controls", "control", CONTROLS), (None, "student", STUDENTS)):
        names = students if path is None else values.get(path)
        refuse_unknown(f"--{kind}s", kind, names if isinstance(names, tuple) else (), known)

    from farzi.cli.logs import recorded_log
    from farzi.summary import Summary

    summary = Summary.load(folder)
    recipe = given.recipe(summary.recipe)
    owner = f"the summary in {folder}"
    data = recorded_log(recipe.data, summary.recipe.data, owner, summary.run.get("data_sha256"))
    if students is None:
        _controls(summary, data, recipe, folder, device, as_json)
    else:
        _students(summary, data, recipe, students, folder, device, as_json)


def _controls(
    summary: "Summary",
    data: "Data",
    recipe: "Recipe",
    folder: str,
    device: str,
    as_json: bool,
) -> None:
    from farzi.cli.progress import ConsoleProgress
    from farzi.evaluation import compare as run
    from farzi.report import save_report

    with ConsoleProgress() as progress:
        comparison: Comparison = run(summary, data, recipe, device=device, progress=progress.doing)
    rows = save_report(comparison, folder, summary.history, device)
    if as_json:
        print_json(rows)
    else:
        click.echo(str(comparison))


def _students(
    summary: "Summary",
    data: "Data",
    recipe: "Recipe",
    students: Sequence[str],
    folder: str,
    device: str,
    as_json: bool,
) -> None:
    from farzi.cli.progress import ConsoleProgress
    from farzi.evaluation import transfer
    from farzi.recipe.changes import student_of_type
    from farzi.report import save_transfer, transfer_text

    distilled_with = summary.recipe.student
    variants = [
        recipe.changed({"student": student_of_type(distilled_with, name)}).student for name in students
    ]
    with ConsoleProgress() as progress:
        compared = transfer(summary, data, variants, recipe, device=device, progress=progress.doing)
    rows = save_transfer(compared, distilled_with.type, folder, device)
    if as_json:
        print_json(rows)
    else:
        click.echo(transfer_text(compared, distilled_with.type))


def refuse_unknown(option: str, kind: str, names: Sequence[Any], known: Sequence[str]) -> None:
    """Refuse an option's list if a name in it is not known, or is there twice; `module:Class` is allowed.

    Raises:
        FarziError: there is such a name; the message starts with the option.
    """
    from farzi.recipe.explain import did_you_mean

    for name in (name for name in names if isinstance(name, str)):
        if name not in known and ":" not in name:
            near = did_you_mean(name, list(known))
            raise FarziError(f'{option}: there is no {kind} "{name}"; there are {", ".join(known)}{near}')
        if names.count(name) > 1:
            raise FarziError(f"{option}: {name} is named twice")
