"""`farzi frontier`: quality against size, of several compared summaries."""

from typing import Any

import click

from farzi.cli.options import json_option
from farzi.cli.output import print_json, print_table, say


@click.command(short_help="Draw quality against size, of several summaries.")
@click.argument("folders", metavar="SUMMARY...", nargs=-1, required=True)
@click.option(
    "--out", metavar="FILE", help="the picture, .png or .svg; if left out, only the table is printed"
)
@json_option
def frontier(folders: tuple[str, ...], out: str | None, as_json: bool) -> None:
    """Print, and draw, which share of the full data's figures each size of summary reaches.

    Each SUMMARY is a folder in which farzi compare was run, all on the same data and with the same full-data
    models. Sizes are events, stored bytes and seconds of one training, as shares of the full data's. Beside
    the summaries stand their initial ones, real windows with soft labels, and random windows, where the
    comparisons have them.
    """
    from farzi.report import check_suffix, frontier_points, plot_frontier

    if out is not None:
        check_suffix(out)
    points = frontier_points(folders)
    if out is not None:
        plot_frontier(points, out)
    if as_json:
        print_json(points)
        return
    metrics = dict.fromkeys(point["metric"] for point in points)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for point in points:
        rows.setdefault((point["run"], point["trained_on"]), point | {})[point["metric"]] = _cell(point)
    numbers = ("events", "bytes", "seconds", *metrics)
    print_table(
        ("run", "trained on", *numbers),
        [
            (*names, *(_share(row[size]) for size in numbers[:3]), *(row.get(name, "–") for name in metrics))
            for names, row in rows.items()
        ],
        numbers,
    )
    say("Shares of the full data's, with 95 % intervals; of a perplexity the inverse: more is better.")
    if out is not None:
        say(f"{out} holds the picture.")


def _share(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.3g} %"


def _cell(point: dict[str, Any]) -> str:
    if point["mean"] is None:
        return "–"
    mean, low, high = (f"{100 * point[part]:.0f}" for part in ("mean", "low", "high"))
    return f"{mean} % ({low} to {high})"
