"""`farzi compare`: a summary beside the full data and the controls."""

from collections.abc import Sequence
from typing import Literal

import click

from farzi.cli.options import Commas, device_option
from farzi.cli.output import json_option, print_json, seen_option
from farzi.errors import FarziError


@click.command(short_help="Compare a summary with the full data and with controls.")
@click.argument("folder", metavar="SUMMARY")
@click.option(
    "--seeds",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    metavar="N",
    help="students of each kind",
)
@click.option(
    "--max-steps",
    type=click.IntRange(min=1),
    metavar="N",
    help="end training on real events after N steps: a quick look, unfair to the full data and the controls",
)
@click.option(
    "--equal-bytes/--no-equal-bytes",
    default=True,
    show_default=True,
    help="also as many real sequences as fit in the summary's bytes: on a small log most of it, and slow",
)
@click.option(
    "--controls",
    type=Commas(),
    metavar="A,B,...",
    help="how real sequences are picked to compare with: random, head (the most active users'), herding "
    "(together like the whole log), k-centre (none of the log far from all of them)  [default: random,head]",
)
@click.option(
    "--from",
    "file",
    metavar="FILE",
    help="where the summary's log is now, if it has moved; it must be the same log",
)
@click.option(
    "--students",
    type=Commas(),
    metavar="A,B,...",
    help="train these students instead, each beside its own training on the full data",
)
@seen_option("as in the summary's recipe")
@device_option
@json_option
def compare(
    folder: str,
    seeds: int,
    max_steps: int | None,
    equal_bytes: bool,
    controls: tuple[str, ...] | None,
    file: str | None,
    students: tuple[str, ...] | None,
    seen: Literal["keep", "exclude"] | None,
    device: str,
    as_json: bool,
) -> None:
    """Train students on SUMMARY, on its whole log and on controls, and print how they do.

    The controls are sequences of random and of the most active users (of a text random and the longest
    sentences), as many as the summary has, and as many as fit in its bytes; --controls picks others. The
    table goes into the summary's folder too: results.json, comparison.md, .json and .png.

    With --students it says whether a summary that was learnt with one architecture teaches others: how each
    does on it, of its own figure on the whole log. Its table goes to students.json and students.md.
    """
    from farzi.cli.logs import recorded_log
    from farzi.cli.progress import Shown
    from farzi.evaluation import Effort, transfer
    from farzi.evaluation import compare as run
    from farzi.evaluation.controls import SUBSETS
    from farzi.models import STUDENTS
    from farzi.report import print_comparison, print_transfer, save_report, save_transfer
    from farzi.summary import Summary
    from farzi.training import EventTraining

    names = students or ()
    if names and controls is not None:
        raise click.UsageError("--controls has no effect beside --students", click.get_current_context())
    controls = controls or Effort.controls
    refuse_unknown("--students", "student", names, tuple(STUDENTS))
    refuse_unknown("--controls", "control", controls, tuple(SUBSETS))
    found = Summary.load(folder)
    recorded = found.recipe.data
    data = recorded if file is None else recorded.model_copy(update={"file": file})
    dataset = recorded_log(data, recorded, f"the summary in {folder}", found.run.get("data_sha256"))
    training = EventTraining() if max_steps is None else EventTraining(steps=max_steps)
    items = len(dataset.vocabulary) - 1
    effort = Effort(seeds=seeds, training=training, equal_bytes=equal_bytes, controls=controls)
    seen = found.recipe.outer.seen if seen is None else seen
    summary = found.tensors.to(device)
    if names:
        with Shown() as progress:
            compared = transfer(
                summary,
                dataset,
                found.recipe,
                names,
                effort=effort,
                seen=seen,
                progress=progress.doing,
            )
        rows = save_transfer(compared, found.recipe.student.name, folder, items, device)
        if as_json:
            print_json(rows)
        else:
            print_transfer(compared, found.recipe.student.name, items)
        return
    with Shown() as progress:
        comparison = run(
            summary,
            dataset,
            found.recipe,
            effort=effort,
            seen=seen,
            distilling=found.run.get("seconds"),
            progress=progress.doing,
        )
    rows = save_report(comparison, folder, items, found.history, device)
    if as_json:
        print_json(rows)
    else:
        print_comparison(comparison, items)


def refuse_unknown(option: str, kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Refuse the list of an option with a name that is not known, or named twice.

    Args:
        option: what the user calls it.
        kind: what the names are of.
        names: the list.
        known: what there is.

    Raises:
        FarziError: there is one.
    """
    for name in names:
        if name not in known:
            raise FarziError(f'{option}: there is no {kind} "{name}"; there are {", ".join(known)}')
        if names.count(name) > 1:
            raise FarziError(f"{option}: {name} is named twice")
