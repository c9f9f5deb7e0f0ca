"""What one step of differentiable training costs: forward, and back by either way to second derivatives.

SASRec on soft events [sequences x length x vocabulary]; the ratio is to the plain gradient of the same loss.
The rows of the table take turns, so that a busy moment of the machine hits them all.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.func import functional_call
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from farzi.losses import soft_next_event
from farzi.students import SASRec
from farzi.unroll import Adam, Curvature, ForwardOverReverse, ReverseOverReverse, Step
from farzi.unroll.adjoint import Cotangents, gradient, reverse_step
from farzi.unroll.trees import Layout


class SoftLoss(nn.Module):
    """The next-event loss of a student on soft events."""

    def __init__(self, student: SASRec) -> None:
        super().__init__()
        self.student = student

    def forward(self, events: Tensor) -> Tensor:
        vectors = self.student.embed(events)
        return soft_next_event(self.student.hidden(vectors[:, :-1]), self.student.output_table, vectors)


def operations(args: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    """The rows of the table: functions to be timed."""
    torch.manual_seed(0)
    student = SASRec(args.vocabulary, args.length, args.hidden, args.layers, args.heads)
    module = SoftLoss(student).to(args.device)
    latents = torch.randn(args.sequences, args.length, 8, device=args.device)
    events = (1.5 * latents @ torch.randn(8, args.vocabulary, device=args.device)).softmax(-1)
    parameters = {name: leaf.detach() for name, leaf in module.named_parameters()}
    layout = Layout.of(parameters)
    theta, optimizer = layout.flatten(parameters), Adam(0.01, epsilon=1e-5)

    def loss(vector: Tensor, leaves: Any) -> Tensor:
        tree: Any = layout.unflatten(vector)
        return functional_call(module, tree, (leaves[0],))

    g = gradient(loss, theta, [events])
    theta_next, state = optimizer.update(g, optimizer.init(theta), theta)
    step = Step(theta_next, state, g)

    def inner() -> Any:
        return optimizer.update(gradient(loss, theta, [events]), state, theta)

    def reverse(curvature: Curvature) -> Any:
        slots = [torch.zeros_like(theta) for _ in range(optimizer.slots)]
        after = Cotangents(torch.ones_like(theta), slots, [], [torch.zeros_like(events)])
        return reverse_step(loss, optimizer, {}, [events], step, after, curvature)

    return {
        "plain gradient": lambda: gradient(loss, theta, [events]),
        "inner step (Adam)": inner,
        "back, reverse over reverse": lambda: reverse(ReverseOverReverse()),
        "back, forward over reverse": lambda: reverse(ForwardOverReverse()),
    }


def seconds(operation: Callable[[], Any], device: str) -> float:
    """Wall time of one call."""
    begin = time.perf_counter()
    operation()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


class PeakBytes(TorchDispatchMode):
    """The most bytes of tensors made inside that were there at one time, whatever the device."""

    def __init__(self) -> None:
        super().__init__()
        self.live: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                self.live[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        self.live = {key: entry for key, entry in self.live.items() if not entry[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.live.values()))
        return result


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--sequences", type=int, default=50, help="soft sequences in the batch")
    parser.add_argument("--length", type=int, default=20, help="soft events a sequence")
    parser.add_argument("--vocabulary", type=int, default=1683, help="V, padding included")
    parser.add_argument("--hidden", type=int, default=32, help="width of the student")
    parser.add_argument("--layers", type=int, default=1, help="blocks of the student")
    parser.add_argument("--heads", type=int, default=1, help="attention heads a block")
    parser.add_argument("--repeats", type=int, default=21, help="timed calls of each row")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--device", default="cpu", help="where to run: cpu, cuda, cuda:1, ...")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    rows = operations(args)
    peaks = {}
    for name, operation in rows.items():
        operation()  # the first call allocates and imports
        with PeakBytes() as watch:
            operation()
        peaks[name] = watch.peak
    times: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(args.repeats):
        for name, operation in rows.items():
            times[name].append(seconds(operation, args.device))

    medians = {name: statistics.median(values) for name, values in times.items()}
    plain = medians["plain gradient"]
    what = f"{args.sequences} x {args.length} events, V = {args.vocabulary:,}"
    table = Table(
        title=f"SASRec {args.hidden} x {args.layers}, {what}",
        caption=f"{args.device}, {args.threads} threads, PyTorch {torch.__version__}",
    )
    table.add_column("")
    for heading in ("median ms", "fastest ms", "x gradient", "peak MiB"):
        table.add_column(heading, justify="right")
    for name, median in medians.items():
        fastest = min(times[name])
        cells = (
            f"{1e3 * median:.1f}",
            f"{1e3 * fastest:.1f}",
            f"{median / plain:.2f}",
            f"{peaks[name] / 2**20:.1f}",
        )
        table.add_row(name, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
