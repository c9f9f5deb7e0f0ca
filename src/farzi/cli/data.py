"""`farzi data`: the named logs and texts, a local copy of one, and what a log or text contains."""

import click

from farzi.cli.options import DATA, Given, SettingsCommand, recipe_option, set_option, settings
from farzi.cli.output import json_option, print_facts, print_json, print_table


@click.group()
def data() -> None:
    """List, fetch and describe logs of events and texts."""


@data.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the data sets that have a name."""
    from farzi.data import CATALOG

    if as_json:
        print_json([_entry(name) for name in CATALOG])
        return
    rows = ((entry.name, f"{entry.rows:,}", entry.what) for entry in CATALOG.values())
    print_table(("name", "events", "what it is"), rows, numbers=["events"])
    click.echo(
        "Files of events (CSV, TSV, Parquet, JSON lines, .inter) work as well: farzi data describe FILE"
    )
    click.echo("and so do texts: farzi data describe FILE --tokens words")


@data.command("get", short_help="Get a local copy of a named data set.")
@click.argument("name")
@click.option("--from", "file", metavar="FILE", help="a local copy, in place of a download")
@json_option
def get(name: str, file: str | None, as_json: bool) -> None:
    """Download the data set NAME if it is not here yet, and check it."""
    from farzi.data import CATALOG
    from farzi.errors import FarziError
    from farzi.recipe.explain import did_you_mean

    if name not in CATALOG:
        known = list(CATALOG)
        raise FarziError(
            f"no data set is named {name!r}; known: {', '.join(known)}{did_you_mean(name, known)}"
        )
    path = CATALOG[name].source.get(file)
    if as_json:
        print_json({**_entry(name), "path": str(path)})
    else:
        click.echo(f"{name} is in {path}")
        click.echo(f"licence: {CATALOG[name].licence}")


@data.command("describe", cls=SettingsCommand, short_help="Describe a log or a text, and its split.")
@click.argument("source", metavar="[DATA]", required=False)
@recipe_option
@set_option
@json_option
@settings(*DATA)
def describe(source: str | None, given: Given, as_json: bool) -> None:
    """Print users, items, events, lengths, times and the split of DATA: a name (farzi data list) or a file.

    Of a text (a name, a folder, or a file with --tokens) print documents, tokens and the vocabulary.
    """
    given.only("the description of data", "data")

    from farzi.data import load_data

    facts = load_data(given.recipe(source=source).data).facts
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)


def _entry(name: str) -> dict[str, object]:
    from farzi.data import CATALOG

    # how it is fetched is code, not a fact
    return {key: value for key, value in vars(CATALOG[name]).items() if key != "source"}
