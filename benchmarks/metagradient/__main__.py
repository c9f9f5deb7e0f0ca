"""`python -m benchmarks.metagradient COMMAND`, from the repository's root."""

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click

from benchmarks.metagradient import report as reports
from benchmarks.metagradient.driver import Settings, rows
from benchmarks.metagradient.plots import draw
from benchmarks.metagradient.problem import Problem, Sizes
from benchmarks.metagradient.together import side_by_side, table
from farzi.provenance import provenance

EVERYBODY = (
    "training()",
    "training_by_engine(execution=Compiled())",
    "engine()",
    "engine(execution=Compiled())",
    "engine(memory=StoreGradients(), execution=Compiled())",
    "engine(memory=SquareRoot(), execution=Compiled())",
    "autograd()",
    "autograd(loss='chunked')",
    "higher()",
    "torchopt()",
    "bergson()",
    "jax()",
    "jax(chunks=10)",
)


def settable(kind: type, **defaults: Any) -> Callable[[Any], Any]:
    """An option for each field of a dataclass, with its default or another one."""

    def add(command: Any) -> Any:
        for field in reversed(fields(kind)):
            default = defaults.get(field.name, field.default)
            option = click.option(f"--{field.name.replace('_', '-')}", default=default, show_default=True)
            command = option(command)
        return command

    return add


contestant_option = click.option(
    "-c",
    "--contestant",
    "contestants",
    multiple=True,
    default=EVERYBODY,
    show_default=True,
    help="Who takes part.",
)
out_option = click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Rows are added to this file.",
)


@click.group(help=__doc__)
def main() -> None:
    """The commands' common root."""


@main.command()
@contestant_option
@out_option
@settable(Sizes)
@settable(Settings)
def run(contestants: Sequence[str], out: Path, **options: Any) -> None:
    """All contestants on one problem, in turns: time, memory, error."""
    sizes, settings = _split(options)
    _write(contestants, [sizes], settings, out)


@main.command()
@click.option("--over", type=click.Choice([field.name for field in fields(Sizes)]), default="steps")
@click.argument("values", type=int, nargs=-1, required=True)
@contestant_option
@out_option
@settable(Sizes)
@settable(Settings, reference="")
def sweep(over: str, values: Sequence[int], contestants: Sequence[str], out: Path, **options: Any) -> None:
    """The same over several VALUES of one size: how time and memory grow."""
    sizes, settings = _split(options)
    _write(contestants, [replace(sizes, **{over: value}) for value in sorted(values)], settings, out)


@main.command()
@contestant_option
@click.option("--rounds", default=5, show_default=True, help="How often each has its turn.")
@click.option("--threads", default=2, show_default=True, help="CPU threads of PyTorch; JAX takes all.")
@settable(Sizes)
def together(contestants: Sequence[str], rounds: int, threads: int, **options: Any) -> None:
    """All contestants in one process, in turns; prints a table."""
    import torch

    torch.set_num_threads(threads)
    sizes = Sizes(**options)
    found = side_by_side(contestants, Problem.make(sizes), rounds)
    about = provenance()
    command = shlex.join(["python", "-m", "benchmarks.metagradient", *sys.argv[1:]])
    click.echo(table(found, sizes.steps))
    click.echo(f"\nT = {sizes.steps}, {rounds} rounds, {threads} threads; {about['machine']}; `{command}`;")
    click.echo(f"commit {about['commit']}, {about['date']}.")


@main.command()
@click.option("--most", default=1024, show_default=True, help="Stop there.")
@contestant_option
@out_option
@settable(Sizes)
@settable(Settings, reference="", turns=1, repeats=0)
def largest(most: int, contestants: Sequence[str], out: Path, **options: Any) -> None:
    """Double T until a contestant runs out of memory."""
    sizes, settings = _split(options)
    steps = [2**k for k in range(most.bit_length()) if 2**k <= most]
    _write(contestants, [replace(sizes, steps=count) for count in steps], settings, out)


@main.command()
@click.argument(
    "files", type=click.Path(exists=True, dir_okay=False, path_type=Path), nargs=-1, required=True
)
@click.option(
    "--plots", type=click.Path(file_okay=False, path_type=Path), help="Draw sweeps into this folder."
)
def report(files: Sequence[Path], plots: Path | None) -> None:
    """Tables and fitted exponents of the rows in FILES, as Markdown."""
    found = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    click.echo(reports.report(found))
    if plots is not None:
        plots.mkdir(parents=True, exist_ok=True)
        for sweep in reports.sweeps(found):
            draw(sweep, plots / f"{sweep.over}.png")


def _split(options: dict[str, Any]) -> tuple[Sizes, Settings]:
    names = {field.name for field in fields(Sizes)}
    sizes = Sizes(**{name: value for name, value in options.items() if name in names})
    return sizes, Settings(**{name: value for name, value in options.items() if name not in names})


def _write(contestants: Sequence[str], sizes: Sequence[Sizes], settings: Settings, out: Path) -> None:
    """Add rows to `out` as they come, and a word about each to standard error."""
    about = provenance() | {"command": shlex.join(["python", "-m", "benchmarks.metagradient", *sys.argv[1:]])}
    with out.open("a") as file:
        for row in rows(contestants, sizes, settings):
            file.write(json.dumps(row | about) + "\n")
            file.flush()
            what = f"{reports.seconds([row]):.3g} s" if row["status"] == "ok" else reports.why(row)
            click.echo(f"T = {row['steps']}, {row['contestant']}: {what}", err=True)


if __name__ == "__main__":
    main()
