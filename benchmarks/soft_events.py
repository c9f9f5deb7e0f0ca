"""One outer step with soft inputs materialized, and factored: seconds and peak memory, in one run.

The metagradient of a window of inner steps of SASRec, from the summary's latents and decoder to the loss on
real events and back. The two ways take turns; medians and the median of the turns' ratios are shown.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from farzi.recipe.variants import SASRec
from farzi.summary import SOFT_INPUTS, BatchSchedule, SummaryTensors
from farzi.training import NextEvent, make_model
from farzi.unroll import Adam, Compiled, Eager, Execution, interpreter, unroll
from farzi.unroll.diagnostics.footprint import added_bytes

EXECUTIONS: dict[str, Callable[[], Execution]] = {
    "eager": Eager,
    "graph": lambda: Compiled(compiler=interpreter),
    "compiled": Compiled,
}
DIM, WINDOW, REAL = 8, 10, 128


def outer_step(
    size: list[int],
    batch: int | None,
    hidden: int,
    layers: int,
    execution: Execution,
    soft_inputs: str,
    device: str,
) -> Callable[[], Any]:
    """A call that makes one metagradient."""
    sequences, length, vocabulary = size
    torch.manual_seed(0)
    latents = torch.randn(sequences, length, DIM, device=device).requires_grad_()
    decoder = torch.randn(DIM, vocabulary, device=device).requires_grad_()
    student = make_model(SASRec(hidden=hidden, layers=layers), vocabulary, length, 0)
    loss = NextEvent(student).to(device)
    theta = {name: value.to(device) for name, value in loss.parameters_of(student).items()}
    real = torch.randint(1, vocabulary, (REAL, length), device=device)
    batches = BatchSchedule(sequences, batch, 0).batches(0, WINDOW)
    if isinstance(batches, Tensor):
        batches = batches.to(device)

    def call() -> list[Tensor]:
        data = SOFT_INPUTS[soft_inputs](SummaryTensors(latents, decoder))
        end = unroll(loss.at, theta, data, Adam(0.01, epsilon=1e-5), batches, execution=execution)
        bars = torch.autograd.grad(loss.at(end, real), [latents, decoder])
        if device != "cpu":
            torch.cuda.synchronize(device)
        return list(bars)

    return call


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--sizes", nargs="*", default=["50,20,1683", "100,20,10000"], metavar="μ,ξ,V")
    parser.add_argument("--parts", type=float, nargs="*", default=[1.0, 0.2], help="of the rows in a step")
    parser.add_argument("--hidden", type=int, default=32, help="width of the student")
    parser.add_argument("--layers", type=int, default=1, help="blocks of the student")
    parser.add_argument("--execution", choices=EXECUTIONS, default="graph", help="of the inner steps")
    parser.add_argument("--only", choices=SOFT_INPUTS, help="one of the two ways; no ratios then")
    parser.add_argument("--turns", type=int, default=3, help="timed calls of each")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="count CPU seconds, where others use the cores too",
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--device", default="cpu", help="where it runs")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    clock = time.process_time if args.cpu_time else time.perf_counter
    ways = tuple(SOFT_INPUTS) if args.only is None else (args.only,)

    title = f"K = {WINDOW}, SASRec {args.hidden} x {args.layers}, {args.execution}, {args.device}"
    table = Table(title=title)
    headings = ["summary", "rows a step"]
    for what in ("s", "MiB"):
        headings += [f"{name} {what}" for name in ways] + (
            ["factored / materialized"] if len(ways) > 1 else []
        )
    for heading in [*headings, "error"]:
        table.add_column(heading, justify="right")
    for text in args.sizes:
        size = [int(number) for number in text.split(",")]
        for part in args.parts:
            batch = max(1, round(part * size[0]))
            calls = [
                outer_step(
                    size, batch, args.hidden, args.layers, EXECUTIONS[args.execution](), way, args.device
                )
                for way in ways
            ]
            ends = [torch.cat([bar.reshape(-1) for bar in call()]) for call in calls]
            error = float((ends[0] - ends[-1]).norm() / ends[0].norm())
            peaks = [added_bytes(call, torch.device(args.device)) / 2**20 for call in calls]
            times: list[list[float]] = []
            for _ in range(args.turns):
                times.append([_seconds(call, clock) for call in calls])
            medians = [statistics.median(column) for column in zip(*times, strict=True)]
            row = [f"{size[0]} x {size[1]} x {size[2]:,}", str(batch), *(f"{value:.3g}" for value in medians)]
            if len(ways) > 1:
                row.append(f"{statistics.median(turn[1] / turn[0] for turn in times):.2f}")
            row += [f"{peak:,.0f}" for peak in peaks]
            if len(ways) > 1:
                row.append(f"{peaks[1] / peaks[0]:.2f}")
            table.add_row(*row, f"{error:.0e}")
    Console(width=140).print(table)


def _seconds(call: Callable[[], Any], clock: Callable[[], float]) -> float:
    begin = clock()
    call()
    return clock() - begin


if __name__ == "__main__":
    main()
