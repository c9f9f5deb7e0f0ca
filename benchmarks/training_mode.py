"""Gradients through a model's layers: as in training on real events, and as in a differentiable training.

The hidden states of a model and their gradient, without the loss, in training mode in both precisions and in
evaluation mode, whose operations can be differentiated twice. The rows take turns; the least of the repeats
is printed, in microseconds of the processor for each event, and its share of the last row's.
"""

import argparse
import time

import torch

from farzi.models import build_model
from farzi.recipe import Recipe

ROWS = {"training, bfloat16": torch.bfloat16, "training, float32": torch.float32, "evaluation": None}


def main() -> None:
    """Measure and print a line for each row."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("student", help="architecture: gru4rec, lstm, fmlprec, ...")
    parser.add_argument("--batch", type=int, default=64, help="sequences")
    parser.add_argument("--length", type=int, default=50, help="events in each")
    parser.add_argument("--hidden", type=int, default=64, help="width")
    parser.add_argument("--layers", type=int, default=1, help="number of layers")
    parser.add_argument("--repeats", type=int, default=9, help="timed runs of each row")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    sizes = {"type": args.student, "hidden": args.hidden, "layers": args.layers}
    model = build_model(Recipe().changed({"student": sizes}).student, 2, args.length)
    vectors = torch.randn(args.batch, args.length, args.hidden, requires_grad=True)
    weights = torch.randn(args.batch, args.length, args.hidden)

    def seconds(precision: torch.dtype | None) -> float:
        model.train(precision is not None)
        begin = time.thread_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            hidden = model.hidden(vectors)
        (hidden.float() * weights).sum().backward()
        return time.thread_time() - begin

    turns = [[seconds(precision) for precision in ROWS.values()] for _ in range(args.repeats + 1)][1:]
    least = [min(column) for column in zip(*turns, strict=True)]
    events = args.batch * args.length
    for name, mine in zip(ROWS, least, strict=True):
        print(f"{name:20} {1e6 * mine / events:8.2f} {mine / least[-1]:6.2f}")


if __name__ == "__main__":
    main()
