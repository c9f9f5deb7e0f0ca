"""How well `farzi.unroll.plan` foretells what a metagradient takes: measured over planned, bytes and seconds.

SASRec on soft events, by several strategies and sizes. In each turn a size is planned anew and then run by
each strategy, so that a busy moment of the machine hits both; the medians of the turns' ratios are shown.
On the CPU peaks are the kernel's high-water mark of resident memory, on a GPU those of PyTorch's allocator.
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.func import functional_call

from benchmarks.engine_step import SoftLoss
from benchmarks.metagradient.memory import Meter
from farzi.models import SASRec
from farzi.unroll import (
    Adam,
    Checkpoints,
    Compiled,
    Eager,
    Execution,
    Memory,
    PlanRow,
    SquareRoot,
    Store,
    StoreGradients,
    Window,
    inductor,
    interpreter,
    plan,
    unroll,
)

EXECUTIONS: dict[str, Callable[[], Execution]] = {
    "eager": Eager,
    "graph": lambda: Compiled(compiler=interpreter),
    "compiled": lambda: Compiled(compiler=inductor),
}
STRATEGIES: list[Memory] = [Store(), StoreGradients(), SquareRoot(), Checkpoints(slots=4), Window(last=5)]


@dataclass(frozen=True)
class Size:
    """A problem: `width`, `layers` and `vocabulary` of the student, `length` of 50 sequences, steps T."""

    width: int
    layers: int
    length: int
    vocabulary: int
    steps: int

    def __str__(self) -> str:
        return f"{self.width} x {self.layers}, 50 x {self.length}, V = {self.vocabulary:,}, T = {self.steps}"

    @staticmethod
    def read(text: str) -> "Size":
        """Five numbers with commas between."""
        return Size(*map(int, text.split(",")))


SIZES = ["32,1,20,1683,20", "64,2,50,1683,10", "32,1,20,8000,20"]


@dataclass
class Seen:
    """What one row of the plan came to, turn by turn."""

    planned: list[PlanRow] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def accuracy(size: Size, execution: Execution, turns: int, device: str) -> dict[str, Seen]:
    """Plan and run one size by all strategies."""
    torch.manual_seed(0)
    student = SASRec(size.vocabulary, size.length - 1, size.width, size.layers, 1)
    module = SoftLoss(student).to(device)
    latents = torch.randn(50, size.length, 8, device=device)
    events = (1.5 * latents @ torch.randn(8, size.vocabulary, device=device)).softmax(-1).requires_grad_()
    theta0 = {name: leaf.detach() for name, leaf in module.named_parameters()}
    optimizer, schedule = Adam(0.01, epsilon=1e-5), [None] * size.steps

    def loss(theta: Any, data: Any, batch: None) -> Tensor:
        return functional_call(module, theta, (data,))

    def metagradient(memory: Memory) -> None:
        end = unroll(loss, theta0, events, optimizer, schedule, memory, execution=execution)
        torch.autograd.grad(list(end.values()), events, [torch.ones_like(leaf) for leaf in end.values()])
        if device != "cpu":
            torch.cuda.synchronize(device)

    seen: dict[str, Seen] = {}
    for _ in range(turns):
        rows = plan(loss, theta0, events, optimizer, schedule, STRATEGIES, execution=execution).rows
        for row in rows:
            entry = seen.setdefault(row.name, Seen())
            entry.planned.append(row)
            meter = Meter(device)
            gc.collect()
            meter.start()
            begin = time.perf_counter()
            metagradient(row.memory)
            entry.seconds.append(time.perf_counter() - begin)
            entry.bytes.append(meter.added() or 0)
    return seen


def _peak(row: PlanRow) -> int:
    """What the meter counts: resident memory on the CPU, tensors elsewhere."""
    return row.peak_bytes if row.resident_bytes is None else row.resident_bytes


def main() -> None:
    """Measure and print a table for each size and execution."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--sizes",
        nargs="*",
        default=SIZES,
        metavar="WIDTH,LAYERS,LENGTH,V,T",
        help="problems to plan and run",
    )
    parser.add_argument("--executions", nargs="*", default=["eager", "graph"], choices=list(EXECUTIONS))
    parser.add_argument("--turns", type=int, default=3, help="plans and runs of each")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--device", default="cpu", help="where to run: cpu, cuda, cuda:1, ...")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for name in args.executions:
        for size in map(Size.read, args.sizes):
            table = Table(title=f"{name}: {size}", caption=f"{args.device}, {args.threads} threads")
            table.add_column("strategy")
            for heading in (
                "tape MiB",
                "planned MiB",
                "measured / planned",
                "planned s",
                "measured / planned",
            ):
                table.add_column(heading, justify="right")
            for strategy, seen in accuracy(size, EXECUTIONS[name](), args.turns, args.device).items():
                pairs = list(zip(seen.planned, seen.bytes, seen.seconds))
                table.add_row(
                    strategy,
                    f"{seen.planned[0].tape_bytes / 2**20:.1f}",
                    f"{statistics.median(_peak(row) for row in seen.planned) / 2**20:.1f}",
                    f"{statistics.median(added / _peak(row) for row, added, _ in pairs):.2f}",
                    f"{statistics.median(row.seconds for row in seen.planned):.2f}",
                    f"{statistics.median(taken / row.seconds for row, _, taken in pairs):.2f}",
                )
            Console(width=110).print(table)


if __name__ == "__main__":
    main()
