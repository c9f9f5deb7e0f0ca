"""`farzi inspect`: a summary's soft inputs and soft labels, by the names of their events."""

from typing import Any

import click

from farzi.cli.options import count_option, json_option
from farzi.cli.output import print_json, print_table, say

NONE = "–"  # the label of the first position, which no model learns to predict


@click.command(short_help="Print a summary's soft inputs and labels.")
@click.argument("folder", metavar="SUMMARY")
@count_option("--sequences", "sequences printed", default=5)
@count_option("--top", "most probable events printed at each position", default=3)
@json_option
def inspect(folder: str, sequences: int, top: int, as_json: bool) -> None:
    """Print the most probable events at each position of SUMMARY: soft inputs, and soft labels.

    A model reads the soft inputs and learns to predict the soft labels. They differ if the summary has a
    label decoder. Of a text, the most probable tokens are also printed as a sentence.
    """
    from farzi.summary import Summary, distillation_facts, nearness_fact

    summary = Summary.load(folder)
    rows = summary.top_events(top, sequences)
    if as_json:
        print_json(rows)
        return
    click.echo(distillation_facts(summary))
    if summary.run.get("nearest_real"):
        click.echo(nearness_fact(summary))
    equal = summary.run.get("nearest_real", {}).get("equal")
    roles = {"soft input": "input", "soft label": "label"}
    if summary.tensors.label_decoder is None:
        roles = {"soft input and label": "input"}
    for number, row in enumerate(rows, start=1):
        alike = ""
        if equal is not None:
            alike = f": {equal[number - 1]} of {len(row)} positions equal the nearest real window"
        say(f"sequence {number} of {summary.tensors.sequences}{alike}")
        if summary.is_text:
            for name, role in roles.items():
                words = (position[role][0]["name"] if position[role] else NONE for position in row)
                say(f"{name}: {' '.join(words)}")
        cells = ([place, *(_cell(at[role]) for role in roles.values())] for place, at in enumerate(row, 1))
        print_table(("position", *roles), cells, numbers=["position"])


def _cell(events: list[dict[str, Any]] | None) -> str:
    return ", ".join(f"{one['name']} {100 * one['probability']:.1f} %" for one in events or ()) or NONE
