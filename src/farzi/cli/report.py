"""`farzi report`: a summary's page, for a browser."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from farzi.cli.output import say
from farzi.errors import FarziError

if TYPE_CHECKING:
    from farzi.progress import Progress


@click.command(short_help="Write a summary's page, for a browser.")
@click.argument("folder", metavar="SUMMARY")
@click.argument("others", metavar="[OTHER]...", nargs=-1)
@click.option("--out", metavar="FILE", help="where to write it [report.html in SUMMARY]")
def report(folder: str, others: tuple[str, ...], out: str | None) -> None:
    """Write the page of SUMMARY: one HTML file, which needs no network and no other file.

    It tells how the summary was made, what models trained on it reach, what it costs, and shows its
    sequences and items. farzi distill and farzi compare write it, too. With OTHER summaries of the same data,
    in which farzi compare was run, it also has the frontier: quality against size.
    """
    from farzi.report import write_report

    path = write_report(folder, out, others)
    say(f"{path} holds the page ({path.stat().st_size / 1024:,.0f} KiB); open it in a browser.")


def write_page(folder: str, progress: "Progress", again: bool = True) -> None:
    """Write the page at the end of another command, whose results are stored already: failing is no error.

    Args:
        folder: the summary's.
        progress: receives a warning.
        again: replace a page that is there.
    """
    from farzi.report import write_report
    from farzi.summary import REPORT

    if not again and (Path(folder) / REPORT).exists():
        return
    try:
        write_report(folder)
    except (FarziError, OSError) as error:
        progress.warning(f"{REPORT} was not written ({error}); `farzi report {folder}` writes it")
