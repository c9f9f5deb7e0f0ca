"""`farzi inspect`: a summary's sequences by the names of their events."""

import click

from farzi.cli.output import json_option, print_json, print_table


@click.command(short_help="Show what a summary's sequences are made of.")
@click.argument("folder", metavar="SUMMARY")
@click.option(
    "--sequences",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    metavar="N",
    help="sequences shown",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="events shown a position",
)
@click.option(
    "--targets", is_flag=True, help="show what is predicted at each position, where it is not what is read"
)
@json_option
def inspect(folder: str, sequences: int, top: int, targets: bool, as_json: bool) -> None:
    """Show what the sequences of SUMMARY are made of: the likeliest events of each position, by name.

    Of a text the likeliest tokens of all positions are also shown in a line, as the sentence that they make.
    Where a summary has targets of its own, these are what is read; `--targets` shows what is predicted there.
    """
    from farzi.summary import Summary, top_events

    found = Summary.load(folder)
    shown = found.tensors.labels if targets else found.tensors
    rows = top_events(shown, found.vocabulary, sequences, top)
    if as_json:
        print_json(rows)
        return
    verb = "to predict" if targets else "reads"
    for number, row in enumerate(rows, start=1):
        click.echo(f"sequence {number} of {found.tensors.sequences}")
        if found.is_text:
            click.echo(f"{verb}: {' '.join(events[0]['name'] for events in row)}")
        print_table(
            ("position", "likeliest events"),
            [
                (
                    str(place),
                    ", ".join(f"{event['name']} {_percent(event['probability'])}" for event in events),
                )
                for place, events in enumerate(row, start=1)
            ],
            numbers=["position"],
        )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share > 0.095 else f"{100 * share:.1f} %"
