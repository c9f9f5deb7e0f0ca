"""`farzi inspect`: a summary's soft inputs and soft labels, by the names of their events."""

from typing import Any

import click

from farzi.cli.options import SettingsCommand
from farzi.cli.output import json_option, print_json, print_table

NONE = "–"
"""The label of the first position, which no model learns to predict."""


@click.command(cls=SettingsCommand, short_help="Print a summary's soft inputs and labels.")
@click.argument("folder", metavar="SUMMARY")
@click.option(
    "--sequences",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    metavar="N",
    help="sequences printed",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="most probable events printed at each position",
)
@json_option
def inspect(folder: str, sequences: int, top: int, as_json: bool) -> None:
    """Print the most probable events at each position of SUMMARY: soft inputs, and soft labels.

    A model reads the soft inputs and learns to predict the soft labels. They differ if the summary has a
    label decoder. Of a text, the most probable tokens are also printed as a sentence.
    """
    from farzi.summary import Summary

    summary = Summary.load(folder)
    rows = summary.top_events(top, sequences)
    if as_json:
        print_json(rows)
        return
    roles = {"soft input": "input", "soft label": "label"}
    if summary.tensors.label_decoder is None:
        roles = {"soft input and label": "input"}
    for number, row in enumerate(rows, start=1):
        click.echo(f"sequence {number} of {summary.tensors.sequences}")
        if summary.is_text:
            for name, role in roles.items():
                words = (position[role][0]["name"] if position[role] else NONE for position in row)
                click.echo(f"{name}: {' '.join(words)}")
        print_table(
            ("position", *roles),
            [
                (str(place), *(_text(position[role]) for role in roles.values()))
                for place, position in enumerate(row, start=1)
            ],
            numbers=["position"],
        )


def _text(events: list[dict[str, Any]] | None) -> str:
    if events is None:
        return NONE
    return ", ".join(f"{event['name']} {_percent(event['probability'])}" for event in events)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share > 0.095 else f"{100 * share:.1f} %"
