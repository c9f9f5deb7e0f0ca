"""What a run takes on 1, 8, 64 and 1,000 processes, computed from what one process took.

Measured: a finished run's stages (its run.json), and, here and now, the start of a process, its memory, and
the part of an outer step that every process does. Given: the network. Computed: all the rest, by the model
in docs/scale.md. It prints that page's tables.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from farzi.distillation.clip import RunningClip
from farzi.provenance import provenance
from farzi.recipe import Recipe
from farzi.unroll import Adam

PROCESSES = (1, 8, 64, 1000)
RUN = "research/results/ml-1m-50x20"
CALL = 1e-4
"""Seconds that process 0 takes to answer one process (given): each says in each round that it is there."""
ROUNDS = 2
"""Rounds of an outer step: metagradients, and whether to stop."""


@dataclass(frozen=True)
class Pieces:
    """What one process took; seconds on one thread.

    Attributes:
        start: of a process, its imports.
        teacher: a full-data training.
        initial: the initial summary.
        replica: the metagradient of one replica in an outer step.
        shared: what every process does in an outer step: clipping, Adam, the mean of the summary.
        adding: one replica's metagradient to the sum.
        student: of a validation, trained and measured.
        steps: outer steps.
        validations: how many.
        numbers: of the summary that the outer loop moves.
        memory: bytes of a process.
    """

    start: float
    teacher: float
    initial: float
    replica: float
    shared: float
    adding: float
    student: float
    steps: int
    validations: int
    numbers: int
    memory: float


@dataclass(frozen=True)
class Work:
    """What there is to share: items of each stage."""

    teachers: int
    replicas: int
    students: int


@dataclass(frozen=True)
class Cost:
    """What a run takes on some processes: seconds of each stage, of one outer step, and bytes."""

    teach: float
    computing: float  # of an outer step
    talking: float  # of an outer step
    refine: float
    select: float
    alone: float  # start and initial summary
    memory: float  # of a process
    received: float  # by a process, in the whole run

    @property
    def total(self) -> float:
        """Seconds from start to end."""
        return self.teach + self.refine + self.select + self.alone


def cost(pieces: Pieces, work: Work, processes: int, bandwidth: float) -> Cost:
    """The model: each stage takes its items in turns of `processes`; metagradients go to all, one by one.

    Args:
        pieces: what one process took.
        work: the items to share.
        processes: how many there are.
        bandwidth: of a process's link, bytes a second.
    """

    def turns(items: int) -> int:
        return math.ceil(items / processes)

    size, hops = 4 * pieces.numbers, math.ceil(math.log2(processes))
    computing = turns(work.replicas) * pieces.replica + work.replicas * pieces.adding + pieces.shared
    talking = 0.0
    if processes > 1:  # a broadcast passes through a tree of processes
        talking = ROUNDS * processes * CALL + work.replicas * hops * size / bandwidth
    return Cost(
        teach=turns(work.teachers) * pieces.teacher,
        computing=computing,
        talking=talking,
        refine=pieces.steps * (computing + talking),
        select=pieces.validations * turns(work.students) * pieces.student,
        alone=pieces.start + pieces.initial,
        memory=pieces.memory + 4 * work.replicas * pieces.numbers,
        received=pieces.steps * work.replicas * size * (1 - 1 / processes),
    )


def measured(run: Path, vocabulary: int) -> Pieces:
    """The pieces of a finished run of a low-rank summary, and those that are measured here."""
    facts, recipe = json.loads((run / "run.json").read_text()), Recipe.load(run / "recipe.yaml")
    stages = facts["stages"]
    dim = recipe.summary.parametrization.own["dim"]
    tables = 1 + recipe.summary.parametrization.own["label_decoder"]
    numbers = dim * (recipe.summary.sequences * recipe.summary.length + tables * vocabulary)
    shared, adding = _shared(numbers)
    refine, select = stages["refine"], stages["select"]
    return Pieces(
        start=_start(),
        teacher=stages["teach"]["seconds"] / stages["teach"]["trainings"],
        initial=stages["initialise"]["seconds"],
        replica=refine["seconds"] / refine["steps"] / recipe.outer.replicas - shared,
        shared=shared,
        adding=adding,
        student=select["seconds"] / select["validations"] / recipe.select.students,
        steps=refine["steps"],
        validations=select["validations"],
        numbers=numbers,
        memory=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    )


def _shared(numbers: int, rounds: int = 10) -> tuple[float, float]:
    """CPU seconds of what every process does in an outer step, and of adding one metagradient."""
    torch.set_num_threads(1)
    flat, bar, total = torch.randn(numbers), torch.randn(numbers), torch.zeros(numbers, dtype=torch.float64)
    clip, state = RunningClip(), Adam(0.0).init(flat)
    begun = time.process_time()
    for _ in range(rounds):
        total += bar
    added = time.process_time()
    for _ in range(rounds):
        gradient, _ = clip(bar)
        after, state = Adam(0.01).update(gradient, state, flat)
        flat.lerp(after, 0.1)
    return (time.process_time() - added) / rounds, (added - begun) / rounds


def _start() -> float:
    """CPU seconds of a process that imports what it needs."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "import farzi.distillation"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def table(pieces: Pieces, work: Work, gbit: float) -> str:
    """Markdown: a row for each number of processes."""
    heads = (
        "processes",
        "teach, min",
        "outer step: computing, s",
        "talking, s",
        "refine, min",
        "select, min",
        "in all, min",
        "times as fast",
        "GB received",
        "GB of memory",
    )
    alone = cost(pieces, work, 1, gbit * 1e9 / 8).total
    lines = ["| " + " | ".join(heads) + " |", "|" + "--:|" * len(heads)]
    for processes in PROCESSES:
        one = cost(pieces, work, processes, gbit * 1e9 / 8)
        cells = (
            f"{processes:,}",
            f"{one.teach / 60:.0f}",
            f"{one.computing:.2f}",
            f"{one.talking:.2f}",
            f"{one.refine / 60:.0f}",
            f"{one.select / 60:.1f}",
            f"{one.total / 60:.0f}",
            f"{alone / one.total:.1f}",
            f"{one.received / 1e9:.0f}",
            f"{one.memory / 1e9:.1f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def trials(pieces: Pieces, count: int) -> str:
    """Markdown: the minutes of `count` trainings on a summary, each measured; they need no messages."""
    minutes = ((pieces.start + math.ceil(count / processes) * pieces.student) / 60 for processes in PROCESSES)
    heads = [f"{processes:,}" for processes in PROCESSES]
    lines = (["processes", *heads], ["min", *(f"{one:.1f}" for one in minutes)])
    first, second = ("| " + " | ".join(cells) + " |" for cells in lines)
    return "\n".join([first, "|---|" + "--:|" * len(heads), second])


def main() -> None:
    """Print the pieces and the tables."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--run", type=Path, default=Path(RUN), help="folder of a finished run")
    parser.add_argument("--vocabulary", type=int, default=3417, help="V of that run")
    parser.add_argument(
        "--items", type=int, nargs="*", default=[8, 64, 1000], help="of each stage: a table each"
    )
    parser.add_argument("--gbit", type=float, default=10.0, help="of a process's link, in Gbit/s")
    args = parser.parse_args()
    pieces = measured(args.run, args.vocabulary)
    print(json.dumps({"pieces": vars(pieces), **provenance()}, indent=2))
    for items in args.items:
        print(f"\n{items:,} teachers, replicas and students, {args.gbit:g} Gbit/s\n")
        print(table(pieces, Work(items, items, items), args.gbit))
    print(f"\n1,000 trials on the summary\n\n{trials(pieces, 1000)}")


if __name__ == "__main__":
    main()
