"""Ways to carry out a recurrent layer where training is differentiated: the loop over time.

GRU4Rec on soft events: plain training and a metagradient through T steps, by

- `operations`: the students' own recurrence, three loops as operations with derivatives of every order;
- `loop`: a plain loop over time, the input's projections made outside, left to autograd;
- `nn.GRU`: PyTorch's layer (on CUDA without cuDNN, whose kernels have no second derivative);

each by autograd, as a traced graph, or compiled. The rows take turns, and ratios are to the first one.
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

from farzi.models import GRU4Rec
from farzi.models import recurrent as layers
from farzi.models.recurrence import gru
from farzi.training import NextEvent
from farzi.unroll import Adam, Compiled, Eager, Execution, inductor, interpreter, train, unroll

Recurrence = Callable[[Tensor, Tensor, Tensor], Tensor]

EXECUTIONS: dict[str, Callable[[], Execution]] = {
    "eager": Eager,
    "graph": partial(Compiled, compiler=interpreter),
    "compiled": partial(Compiled, compiler=inductor),
}


def loop(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The recurrence step by step, left to autograd."""
    state, states = x.new_zeros(x.shape[1], weight.shape[1]), []
    offset = torch.cat([bias.new_zeros(2 * len(bias)), bias])
    for gates, candidate in zip(*x.split([2 * len(bias), len(bias)], -1), strict=True):
        products, product = torch.addmm(offset, state, weight.T).split([2 * len(bias), len(bias)], -1)
        reset, update = torch.sigmoid(gates + products).chunk(2, -1)
        state = torch.lerp(torch.tanh(candidate + reset * product), state, update)
        states.append(state)
    return torch.stack(states)


def layer(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """PyTorch's layer, its input's projection the identity of `x`, which it makes at each step anew."""
    width = len(bias)
    identity, zeros = torch.eye(3 * width, device=x.device), x.new_zeros(3 * width)
    weights = [identity, weight, zeros, torch.cat([zeros[: 2 * width], bias])]
    with torch.backends.cudnn.flags(enabled=False):
        start = x.new_zeros(1, x.shape[1], width)
        return torch._VF.gru(x, start, weights, True, 1, 0.0, False, False, False)[0]


RECURRENCES: dict[str, Recurrence] = {"operations": gru, "loop": loop, "nn.GRU": layer}
Operation = Callable[[], Any]


def operations(args: argparse.Namespace, recurrence: Recurrence, how: str) -> tuple[Operation, Operation]:
    """Plain training and a metagradient."""
    torch.manual_seed(0)
    loss = NextEvent(GRU4Rec(args.vocabulary, args.length - 1, args.hidden, args.layers)).to(args.device)
    latents = torch.randn(args.sequences, args.length, 8, device=args.device)
    events = (1.5 * latents @ torch.randn(8, args.vocabulary, device=args.device)).softmax(-1)
    events.requires_grad_()
    theta0 = loss.parameters_of(loss.student)
    optimizer, schedule, execution = Adam(0.01, epsilon=1e-5), [None] * args.steps, EXECUTIONS[how]()

    def at(theta: Any, data: Any, batch: Any) -> Tensor:
        layers.gru = recurrence
        try:
            return loss.at(theta, data, batch)
        finally:
            layers.gru = gru

    def plain() -> Any:
        return train(at, theta0, events, optimizer, schedule, execution=execution)

    def metagradient() -> Any:
        end = unroll(at, theta0, events, optimizer, schedule, execution=execution)
        return torch.autograd.grad(sum(leaf.sum() for leaf in end.values()), events)

    return plain, metagradient


def seconds(operation: Operation, device: str) -> float:
    """Time of one call: on one CPU thread that of the processor, which a busy machine disturbs less."""
    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    begin = clock()
    operation()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return clock() - begin


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    names = [f"{recurrence}, {how}" for recurrence in RECURRENCES for how in EXECUTIONS]
    parser.add_argument("--sequences", type=int, default=50, help="soft sequences in the batch")
    parser.add_argument("--length", type=int, default=20, help="soft events a sequence")
    parser.add_argument("--vocabulary", type=int, default=1683, help="V, padding included")
    parser.add_argument("--hidden", type=int, default=64, help="width of the student")
    parser.add_argument("--layers", type=int, default=1, help="recurrent layers")
    parser.add_argument("--only", nargs="*", default=names, choices=names, help="rows to time")
    parser.add_argument("--steps", type=int, default=5, help="T, the steps that are differentiated")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each row")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--device", default="cpu", help="where to run: cpu, cuda, cuda:1, ...")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    rows = {
        name: operations(args, RECURRENCES[name.split(", ")[0]], name.split(", ")[1]) for name in args.only
    }
    first: dict[str, float] = {}
    for name, (plain, metagradient) in rows.items():
        first[name] = seconds(metagradient, args.device)
        plain()
    times: dict[str, list[list[float]]] = {name: [] for name in rows}
    for _ in range(args.repeats):
        for name, pair in rows.items():
            times[name].append([seconds(operation, args.device) / args.steps for operation in pair])
    medians = {name: [statistics.median(column) for column in zip(*times[name])] for name in rows}
    reference = medians[args.only[0]]
    table = Table(
        title=f"GRU4Rec {args.hidden} x {args.layers}, {args.sequences} x {args.length} events, "
        f"V = {args.vocabulary:,}, T = {args.steps}",
        caption=f"{args.device}, {args.threads} threads, PyTorch {torch.__version__}",
    )
    table.add_column("")
    for heading in ("plain ms a step", "ratio", "metagradient ms a step", "ratio", "first run s"):
        table.add_column(heading, justify="right")
    for name, pair in medians.items():
        cells = [
            text for mine, one in zip(pair, reference) for text in (f"{1e3 * mine:.1f}", f"{mine / one:.2f}")
        ]
        table.add_row(name, *cells, f"{first[name]:.1f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
