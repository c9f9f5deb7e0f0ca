"""`farzi data`: which logs and texts there are, having one at hand, and what is in one."""

import click

from farzi.cli.options import Given, GroupedCommand, recipe_options
from farzi.cli.output import json_option, print_facts, print_json, print_table


@click.group()
def data() -> None:
    """List, fetch and describe logs of events and texts."""


@data.command("list")
@json_option
def list_(as_json: bool) -> None:
    """The data sets that have a name."""
    from farzi.data import CATALOG

    if as_json:
        print_json([_entry(name) for name in CATALOG])
        return
    rows = ((entry.name, f"{entry.rows:,}", entry.what) for entry in CATALOG.values())
    print_table(("name", "events", "what it is"), rows, numbers=["events"])
    click.echo("Any CSV, TSV, Parquet, JSON lines or .inter file will do as well: farzi data describe FILE")
    click.echo("or a text: farzi data describe FILE --tokens words")


@data.command("get", short_help="Have a data set on this machine, checked.")
@click.argument("name")
@click.option(
    "--from", "file", metavar="FILE", help="a copy that is already at hand, in place of fetching it"
)
@json_option
def get(name: str, file: str | None, as_json: bool) -> None:
    """Have the data set NAME on this machine: fetched if need be, checked, and kept."""
    from farzi.data import CATALOG
    from farzi.errors import FarziError
    from farzi.recipe.wording import did_you_mean

    if name not in CATALOG:
        known = list(CATALOG)
        raise FarziError(
            f"no data set is named {name!r}; known: {', '.join(known)}{did_you_mean(name, known)}"
        )
    path = CATALOG[name].get(file)
    if as_json:
        print_json({**_entry(name), "path": str(path)})
    else:
        click.echo(f"{name} is in {path}")
        click.echo(f"licence: {CATALOG[name].licence}")


@data.command("describe", cls=GroupedCommand, short_help="Say what is in a log or a text, and its split.")
@click.argument("source", metavar="[DATA]", required=False)
@recipe_options("data")
@json_option
def describe(source: str | None, given: Given, as_json: bool) -> None:
    """Users, items, events, lengths, times and the split of DATA: a name (farzi data list) or a file.

    Of a text (a name, a folder, or a file with --tokens) documents, tokens and the vocabulary.
    """
    from farzi.data import load_data

    facts = load_data(given.with_value(("data", "source"), source).recipe().data).facts
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)


def _entry(name: str) -> dict[str, object]:
    from farzi.data import CATALOG

    # how it is fetched is code, not a fact
    return {key: value for key, value in vars(CATALOG[name]).items() if key != "source"}
