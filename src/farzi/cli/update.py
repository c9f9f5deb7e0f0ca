"""`farzi update`: a day's events, new items among them, into a summary, without distilling anew."""

from pathlib import Path
from typing import Any

import click

from farzi.cli.options import Given, SettingsCommand, device_option, json_option, settings
from farzi.cli.output import print_json, print_table, say
from farzi.errors import FarziError


@click.command(cls=SettingsCommand, short_help="Bring a summary up to date with a day's events.")
@click.argument("folder", metavar="SUMMARY")
@click.argument("day", metavar="EVENTS")
@click.option("--out", required=True, metavar="FOLDER", help="the new summary's; an update in it goes on")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    metavar="X",
    help="of the whole update, measuring aside",
)
@click.option("--steps", type=click.IntRange(min=0), metavar="N", help="outer steps, in place of minutes")
@click.option("--history", metavar="FILE", help="earlier events of the users in EVENTS")
@click.option("--next", "following", metavar="FILE", help="the next day's events, to measure on")
@click.option("--teacher", metavar="MODEL", help="the model to train further [that kept beside SUMMARY]")
@click.option("--cache", metavar="FOLDER", help="of farzi distill --cache, which has the teacher")
@click.option("--vanished", metavar="FILE", help="ids of items that are no longer offered, one a line")
@click.option(
    "--compare",
    metavar="LOG",
    help="all events before: also retrain on them, and replay real exemplars (slow)",
)
@click.option("--restart", is_flag=True, help="start from the beginning; what is in the folder is lost")
@device_option
@json_option
@settings("--user", "--item", "--time", "--seed", defaults=False)
def update(
    folder: str,
    day: str,
    out: str,
    minutes: float,
    steps: int | None,
    history: str | None,
    following: str | None,
    teacher: str | None,
    cache: str | None,
    vanished: str | None,
    compare: str | None,
    restart: bool,
    given: Given,
    device: str,
    as_json: bool,
) -> None:
    """Bring SUMMARY up to date with the events in the file EVENTS.

    Indices of items stay; new items follow them. Labels are made anew by a teacher that learns the day, and a
    few outer steps are taken; what brings nothing on held-out events is not kept. Ctrl-C is safe: the same
    command goes on.
    """
    used, unused = ("seed", "data"), ("data.source", "data.file", "data.names", "data.split")
    given.only("an update", *used, without=unused)

    from farzi.cli.progress import ConsoleProgress
    from farzi.summary import Summary
    from farzi.updating import Compared
    from farzi.updating import update as run

    old = Summary.load(folder)
    recipe = given.recipe(old.recipe)
    with ConsoleProgress() as progress:
        made = run(
            folder,
            day,
            out,
            minutes=minutes,
            steps=steps,
            history=history,
            following=following,
            teacher=teacher,
            cache=cache,
            vanished=() if vanished is None else _ids(vanished),
            compare=None if compare is None else Compared(compare),
            reading=recipe.data,
            seed=int(given.values.get("seed", 0)),
            restart=restart,
            progress=progress,
            device=device,
        )
    facts: dict[str, Any] = made.run["update"]
    if as_json:
        print_json({"out": out, **facts})
        return
    print_figures(facts)
    kept, items = facts["kept"], facts["day"]["new_items"]
    say(
        f"{out} holds the summary, with {items:,} new items, made in {facts['seconds']:.0f} s. Kept: "
        f"{_kept(kept)}.\n"
        + "".join(f"A whole distillation is due: {reason}.\n" for reason in facts["due"])
        + f"Next: farzi train {out} --out model.safetensors"
    )


def print_figures(facts: dict[str, Any]) -> None:
    """The rows of an update as a table: per cent, of all items, old ones and new ones."""
    from farzi.report.updated import update_table

    columns, rows = update_table(facts)
    print_table(columns, rows, numbers=columns[1:])
    new = facts["rows"]["update"]["new"]
    of_new = "none of them" if new is None else f"{int(new['events']):,} of them"
    say(f"Per cent, {facts['judged_on']} ranked among all items; {of_new} of new items.")


def _kept(kept: dict[str, Any]) -> str:
    parts = ["labels made anew"] if kept["labels"] else []
    parts += [f"{kept['replaced']} sequences sampled anew"] if kept["replaced"] else []
    parts += [f"outer step {kept['outer_step']}"] if kept["outer_step"] else []
    return ", ".join(parts) or "new items alone; the rest brought nothing on held-out events"


def _ids(file: str) -> list[str]:
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no UTF-8"
        raise FarziError(f"{file}: cannot be read ({reason}); it has one id a line") from None
    return [line.strip() for line in lines if line.strip()]
