"""The next-event loss at a large vocabulary: value, gradient and tangent in chunks, beside the plain formula.

The plain formula holds tokens x vocabulary several times over; the chunked one never does. They take turns.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from farzi.losses import mean_log_partition
from farzi.unroll.diagnostics.footprint import added_bytes


def plain(hidden: Tensor, table: Tensor) -> Tensor:
    """The mean log-partition as one writes it down."""
    return torch.logsumexp(hidden @ table.T, dim=-1).mean()


def gradient(loss: Callable[..., Tensor], hidden: Tensor, table: Tensor, *_: Tensor) -> Any:
    """Value and gradient."""
    return torch.autograd.grad(loss(hidden, table), [hidden, table])


def tangent(loss: Callable[..., Tensor], hidden: Tensor, table: Tensor, u: Tensor, w: Tensor) -> Any:
    """Value, gradient and the gradient's tangent in the direction (u, w)."""
    slopes = torch.autograd.grad(loss(hidden, table), [hidden, table], create_graph=True)
    return torch.autograd.grad(slopes, [hidden, table], [u, w])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--vocabulary", type=int, default=50_000, help="V")
    parser.add_argument("--tokens", type=int, default=4_000, help="positions")
    parser.add_argument("--width", type=int, default=128, help="of hidden states")
    parser.add_argument("--repeats", type=int, default=3, help="timed calls of each")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    shapes = [(args.tokens, args.width), (args.vocabulary, args.width)]
    hidden, table = (torch.randn(shape).mul_(0.3).requires_grad_() for shape in shapes)
    u, w = (torch.randn(shape) for shape in shapes)

    table_of = Table(title=f"V = {args.vocabulary:,}, {args.tokens:,} tokens, width {args.width}")
    for heading in (
        "",
        "chunked s",
        "plain s",
        "ratio",
        "chunked MiB",
        "plain MiB",
        "plain / chunked",
        "error",
    ):
        table_of.add_column(heading, justify="right")
    for what in (gradient, tangent):
        results, peaks = [], []
        for loss in (mean_log_partition, plain):
            call = partial(what, loss, hidden, table, u, w)
            results.append(call())
            peaks.append(added_bytes(call, hidden.device) / 2**20)
        error = max(((a - b).norm() / b.norm()).item() for a, b in zip(results[0], results[1], strict=True))
        del results
        times: list[tuple[float, ...]] = []
        for _ in range(args.repeats):
            pair = []
            for loss in (mean_log_partition, plain):
                begin = time.perf_counter()
                what(loss, hidden, table, u, w)
                pair.append(time.perf_counter() - begin)
            times.append(tuple(pair))
        chunked, whole = (statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(a / b for a, b in times)
        table_of.add_row(
            what.__name__,
            f"{chunked:.2f}",
            f"{whole:.2f}",
            f"{ratio:.2f}",
            f"{peaks[0]:.0f}",
            f"{peaks[1]:.0f}",
            f"{peaks[1] / peaks[0]:.1f}",
            f"{error:.1e}",
        )
    Console().print(table_of)


if __name__ == "__main__":
    main()
