"""`farzi report`: a summary's page, for a browser."""

import click

from farzi.cli.output import say


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
