"""`farzi data`: the named logs and texts, a local copy of one, and what a log or text contains."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farzi.cli.options import (
    DATA,
    FORM,
    Given,
    SettingsCommand,
    in_option_names,
    json_option,
    recipe_option,
    settings,
    source_argument,
)
from farzi.cli.output import print_facts, print_json, print_table, say
from farzi.errors import FarziError

if TYPE_CHECKING:
    from farzi.data import Data
    from farzi.models import Model
    from farzi.recipe.variants import DataVariant
    from farzi.summary import Summary


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
    say(
        "Files of events (delimited text, Parquet, JSON lines) work as well: farzi data describe FILE\n"
        "and so do texts: farzi data describe FILE --tokens words"
    )


@data.command("get", short_help="Get a local copy of a named data set.")
@click.argument("name")
@click.option("--from", "file", metavar="FILE", help="a local copy, in place of a download")
@json_option
def get(name: str, file: str | None, as_json: bool) -> None:
    """Download the data set NAME if it is not here yet, and check it."""
    from farzi.data import CATALOG
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
        say(f"{name} is in {path}\nlicence: {CATALOG[name].licence}")


@data.command("describe", cls=SettingsCommand, short_help="Describe a log or a text, and its split.")
@source_argument
@recipe_option
@json_option
@settings(*DATA, *FORM)
def describe(source: str | None, given: Given, as_json: bool) -> None:
    """Print how DATA is read, its users, items, events, lengths and times, and its split.

    DATA is a name (farzi data list) or a file. Of a text (a name, a folder, or a file with --tokens) print
    documents, tokens and the vocabulary.
    """
    given.only("the description of data", "data")

    from farzi.data import load_data
    from farzi.data.account import readable

    facts = load_data(given.recipe(source=source).data).facts
    if as_json:
        print_json(facts)
        return
    words = readable(facts) if "reading" in facts else facts
    for label in ("notes", "warnings"):
        words[label] = [in_option_names(text, describe) for text in words.get(label, [])]
    print_facts(words)


def _entry(name: str) -> dict[str, object]:
    from farzi.data import CATALOG

    # how it is fetched is code, not a fact
    return {key: value for key, value in vars(CATALOG[name]).items() if key != "source"}


def recorded_log(settings: "DataVariant", owner: "Summary | Model", path: str) -> "Data":
    """The log or text that the `owner` at `path` was made from, read by `settings`.

    Its file of readable names, which may be missing, is not read.

    Raises:
        FarziError: there is no such file, it cannot be used, or it is another log than the summary's, and not
            because it is read or split in another way now.
    """
    from farzi.data import CATALOG, load_data
    from farzi.data.fingerprint import fingerprint
    from farzi.summary import Summary, no_comparison

    is_summary = isinstance(owner, Summary)
    recorded = owner.recipe.data if is_summary else owner.data
    name = f"the {'summary' if is_summary else 'model'} in {path}"
    place = _place(settings)
    if place == _place(recorded) and place not in CATALOG and place and not Path(place).exists():
        raise FarziError(
            f"{place}: no such file; it is the log of {name}. If it has moved, say where: --from FILE"
        )
    data = load_data(_without(settings, "names"))
    sha256 = owner.run.get("data_sha256") if is_summary else None
    same = _without(settings, "file", "names") == _without(recorded, "file", "names")
    if sha256 is not None and same and fingerprint(data) != sha256:
        raise FarziError(
            (no_comparison(owner, data.name) if isinstance(owner, Summary) else None)
            or f"{data.name}: its events are not those that {name} was made from"
        )
    return data


def _place(settings: Any) -> str:
    """The file or the named data set that is read; empty for data of another class."""
    return getattr(settings, "file", None) or getattr(settings, "source", "")


def _without(settings: "DataVariant", *names: str) -> "DataVariant":
    known = type(settings).model_fields
    return settings.model_copy(update={name: None for name in names if name in known})
