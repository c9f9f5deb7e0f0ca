"""`farzi recommend`: the items that a model ranks highest after the histories in a file."""

import re
import sys
from pathlib import Path

import click

from farzi.cli.options import count_option
from farzi.cli.output import say
from farzi.errors import FarziError


@click.command(short_help="Recommend items for histories in a file.")
@click.argument("file", metavar="MODEL")
@click.argument("histories", metavar="HISTORIES")
@count_option("--k", "items for each user", default=10)
@click.option("--user", metavar="NAME", help="column of users [guessed]")
@click.option("--item", metavar="NAME", help="column of items [guessed]")
@click.option("--time", metavar="NAME", help="column of times [guessed]")
@click.option("--include-seen", is_flag=True, help="also recommend items of the user's own history")
@click.option("--out", metavar="FILE", help="a .csv, .parquet or .jsonl file; CSV on the screen if left out")
def recommend(
    file: str,
    histories: str,
    k: int,
    user: str | None,
    item: str | None,
    time: str | None,
    include_seen: bool,
    out: str | None,
) -> None:
    """Recommend the items that MODEL ranks highest after each user's history in HISTORIES.

    MODEL is a file of farzi train. HISTORIES has the form of a log: one row for each event. The result has
    the columns user_id, item_id, score and rank.
    """
    if out is not None and Path(out).suffix not in (".csv", ".parquet", ".jsonl"):
        raise FarziError(f"{out}: recommendations are written to a .csv, .parquet or .jsonl file")

    from farzi.data import read_events
    from farzi.models import Model
    from farzi.recipe.variants import LogData

    model = Model.load(file)
    try:
        events = read_events(histories, LogData.model_construct(user=user, item=item, time=time))
    except FarziError as error:
        raise FarziError(re.sub(r"\bdata\.(user|item|time)\b", r"--\1", str(error))) from None
    for note in events.reading["notes"]:
        click.echo(f"farzi: {note}", err=True)
    if out is not None:
        rows, users = model.recommend_to(out, events.frame, k, exclude_seen=not include_seen)
        say(f"{out}: {rows:,} recommendations for {users:,} users")
        return
    text = model.recommend(events.frame, k, exclude_seen=not include_seen).write_csv()
    if sys.stdout.isatty():
        say(text.rstrip("\n"))
    else:  # another program needs the ids as they are
        click.echo(text.encode(), nl=False)
