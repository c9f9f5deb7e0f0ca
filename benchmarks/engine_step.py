"""What one step of differentiable training costs, by every way to carry it out.

SASRec on soft events [sequences x length x vocabulary]. A metagradient through T steps is timed beside plain
training of the same T steps. The rows take turns, so that a busy moment of the machine hits them all; the
ratio is to the fastest plain training of the same round, the median and the range over all rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.func import functional_call

from farzi.losses import soft_next_event
from farzi.models import SASRec
from farzi.unroll import (
    Adam,
    Compiled,
    Eager,
    Execution,
    ForwardOverReverse,
    Memory,
    ReverseOverReverse,
    SquareRoot,
    Store,
    StoreGradients,
    inductor,
    interpreter,
    train,
    unroll,
)
from farzi.unroll.diagnostics.footprint import added_bytes

EXECUTIONS: dict[str, Execution] = {
    "eager": Eager(ReverseOverReverse()),
    "eager, forward over reverse": Eager(ForwardOverReverse()),
    "graph": Compiled(ReverseOverReverse(), interpreter),
    "graph, forward over reverse": Compiled(ForwardOverReverse(), interpreter),
    "compiled": Compiled(ReverseOverReverse(), inductor),
    "compiled, forward over reverse": Compiled(ForwardOverReverse(), inductor),
}
MEMORIES: dict[str, Memory] = {
    "whole": Store(),
    "bare": Store(intermediates=False),
    "gradients": StoreGradients(),
    "square-root": SquareRoot(),
}


class SoftLoss(nn.Module):
    """The next-event loss of a student on soft events."""

    def __init__(self, student: SASRec) -> None:
        super().__init__()
        self.student = student

    def forward(self, events: Tensor) -> Tensor:
        vectors = self.student.embed(events)
        return soft_next_event(self.student.hidden(vectors[:, :-1]), self.student.output_table, vectors)


Operation = Callable[[], Any]


def operations(args: argparse.Namespace) -> dict[str, tuple[Operation, Operation]]:
    """Plain training and a metagradient, by each execution."""
    torch.manual_seed(0)
    student = SASRec(args.vocabulary, args.length - 1, args.hidden, args.layers, args.heads)
    module = SoftLoss(student).to(args.device)
    latents = torch.randn(args.sequences, args.length, 8, device=args.device)
    events = (1.5 * latents @ torch.randn(8, args.vocabulary, device=args.device)).softmax(-1)
    events.requires_grad_()
    theta0 = {name: leaf.detach() for name, leaf in module.named_parameters()}
    optimizer, schedule = Adam(0.01, epsilon=1e-5), [None] * args.steps
    memory = MEMORIES[args.memory]

    def loss(theta: Any, data: Any, batch: None) -> Tensor:
        return functional_call(module, theta, (data,))

    def plain(execution: Execution) -> Any:
        return train(loss, theta0, events, optimizer, schedule, execution=execution)

    def metagradient(execution: Execution) -> Any:
        end = unroll(loss, theta0, events, optimizer, schedule, memory, execution=execution)
        return torch.autograd.grad(sum(leaf.sum() for leaf in end.values()), events)

    return {
        name: (partial(plain, EXECUTIONS[name]), partial(metagradient, EXECUTIONS[name]))
        for name in args.only
    }


def seconds(operation: Operation, device: str) -> float:
    """Wall time of one call."""
    begin = time.perf_counter()
    operation()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


def arguments() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--sequences", type=int, default=50, help="soft sequences in the batch")
    parser.add_argument("--length", type=int, default=20, help="soft events a sequence")
    parser.add_argument("--vocabulary", type=int, default=1683, help="V, padding included")
    parser.add_argument("--hidden", type=int, default=32, help="width of the student")
    parser.add_argument("--layers", type=int, default=1, help="blocks of the student")
    parser.add_argument("--heads", type=int, default=1, help="attention heads a block")
    parser.add_argument("--only", nargs="*", default=list(EXECUTIONS), help="executions to time")
    parser.add_argument("--steps", type=int, default=10, help="T, the steps that are differentiated")
    parser.add_argument("--memory", choices=list(MEMORIES), default="whole", help="how steps are kept")
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of each row")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--device", default="cpu", help="where to run: cpu, cuda, cuda:1, ...")
    return parser


class Row(NamedTuple):
    """The figures of an execution."""

    name: str
    plain: float  # seconds a step of plain training, the median
    metagradient: float  # and of a metagradient
    ratios: list[float]  # of a metagradient to the fastest plain training of each round, rising
    peak: float  # MiB that a metagradient adds
    first: float  # seconds of the first metagradient, with compilation


def measured(args: argparse.Namespace) -> list[Row]:
    """The executions in turns."""
    rows = operations(args)
    first: dict[str, float] = {}
    peaks: dict[str, float] = {}
    for name, (plain, metagradient) in rows.items():
        first[name] = seconds(metagradient, args.device)
        plain()
        peaks[name] = added_bytes(metagradient, torch.device(args.device)) / 2**20
    times: dict[str, list[tuple[float, ...]]] = {name: [] for name in rows}
    for _ in range(args.repeats):
        for name, pair in rows.items():
            times[name].append(tuple(seconds(operation, args.device) / args.steps for operation in pair))

    medians = {
        name: [statistics.median(column) for column in zip(*times[name], strict=True)] for name in rows
    }
    plains = zip(*([plain for plain, _ in times[name]] for name in rows), strict=True)
    fastest = [min(round_) for round_ in plains]
    ratios = {
        name: sorted(both / plain for (_, both), plain in zip(times[name], fastest, strict=True))
        for name in rows
    }
    return [
        Row(name, plain, metagradient, ratios[name], peaks[name], first[name])
        for name, (plain, metagradient) in medians.items()
    ]


def main() -> None:
    """Measure and print the table."""
    args = arguments().parse_args()
    torch.set_num_threads(args.threads)
    rows = measured(args)
    table = Table(
        title=f"SASRec {args.hidden} x {args.layers}, {args.sequences} x {args.length} events, "
        f"V = {args.vocabulary:,}, T = {args.steps}, steps kept: {args.memory}",
        caption=f"{args.device}, {args.threads} threads, PyTorch {torch.__version__}",
    )
    table.add_column("")
    for heading in ("plain ms a step", "metagradient ms a step", "ratio", "peak MiB", "first run s"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.name,
            f"{1e3 * row.plain:.1f}",
            f"{1e3 * row.metagradient:.1f}",
            f"{statistics.median(row.ratios):.2f} ({row.ratios[0]:.2f} to {row.ratios[-1]:.2f})",
            f"{row.peak:.0f}",
            f"{row.first:.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
