"""The command `farzi` and its sub-commands. PyTorch and polars are imported when a command runs, not here."""

import click

from farzi.cli.allocator import keep_freed_memory
from farzi.cli.check import check
from farzi.cli.compare import compare
from farzi.cli.data import data
from farzi.cli.distill import distill
from farzi.cli.errors import Commands
from farzi.cli.evaluate import evaluate
from farzi.cli.inspect import inspect
from farzi.cli.output import warn_in_one_line
from farzi.cli.plan import plan
from farzi.cli.recipe import recipe
from farzi.cli.recommend import recommend
from farzi.cli.train import train


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Start with: farzi distill --out runs/first. Every command has its own --help.",
)
@click.version_option(package_name="farzi", prog_name="farzi", message="%(prog)s %(version)s")
def app() -> None:
    """Distil a log of event sequences into a few synthetic ones that train a recommender as well."""


for _command in (data, recipe, plan, check, distill, train, evaluate, recommend, compare, inspect):
    app.add_command(_command)


def main() -> None:
    """The entry point of the script `farzi`."""
    keep_freed_memory()
    warn_in_one_line()
    app.main(prog_name="farzi")
