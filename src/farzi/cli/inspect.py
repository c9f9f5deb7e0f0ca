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
    from farzi.summary import Summary, top_events

    summary = Summary.load(folder)
    tensors = summary.tensors
    inputs = top_events(tensors, summary.vocabulary, sequences, top)
    labels: list[list[Any]] = [
        [None, *row[1:]] for row in top_events(tensors.labels, summary.vocabulary, sequences, top)
    ]
    if as_json:
        print_json(
            [
                [{"input": one, "label": other} for one, other in zip(*pair, strict=True)]
                for pair in zip(inputs, labels, strict=True)
            ]
        )
        return
    parts = {"soft input": inputs, "soft label": labels}
    if tensors.label_decoder is None:
        parts = {"soft input and label": inputs}
    for number in range(len(inputs)):
        click.echo(f"sequence {number + 1} of {tensors.sequences}")
        if summary.is_text:
            for name, rows in parts.items():
                words = (events[0]["name"] if events else NONE for events in rows[number])
                click.echo(f"{name}: {' '.join(words)}")
        print_table(
            ("position", *parts),
            [
                (str(place), *(_text(events) for events in position))
                for place, position in enumerate(zip(*(rows[number] for rows in parts.values())), start=1)
            ],
            numbers=["position"],
        )


def _text(events: list[dict[str, Any]] | None) -> str:
    if events is None:
        return NONE
    return ", ".join(f"{event['name']} {_percent(event['probability'])}" for event in events)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share > 0.095 else f"{100 * share:.1f} %"
