"""What one outer step of a recipe costs; nothing is written.

Two states of the project are compared by a checkout of each, in turns:
`PYTHONPATH=other/src python benchmarks/outer_step.py RECIPE`, each with a recipe of its form.
"""

import argparse
import json
import statistics
import time

import torch

from farzi.data import load_data
from farzi.distillation import OuterLoop, initialise
from farzi.provenance import provenance
from farzi.recipe import Recipe


def timed_steps(outer: OuterLoop, steps: int) -> tuple[list[float], list[float]]:
    """Seconds and losses of some outer steps; a step's figures are read, so the device has then finished."""
    times, losses = [], []
    for _ in range(steps):
        begin = time.perf_counter()
        losses.append(outer.take_step(outer.recipe.outer.learning_rate).loss)
        times.append(time.perf_counter() - begin)
    return times, losses


def main() -> None:
    """Take the steps and print a JSON object."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("recipe", help="a recipe's file")
    parser.add_argument("--steps", type=int, default=40, help="outer steps; the second half is timed")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    recipe = Recipe.load(args.recipe)
    dataset = load_data(recipe.data)
    outer = OuterLoop(recipe, dataset, initialise(recipe, dataset))
    times, losses = timed_steps(outer, args.steps)
    figures = {
        "first_step_seconds": times[0],
        "median_seconds": statistics.median(times[args.steps // 2 :]),
        "mean_seconds": statistics.mean(times[args.steps // 2 :]),
        "real_loss_of_the_last_ten": statistics.mean(losses[-10:]),
        "threads": args.threads,
    }
    print(json.dumps(figures | provenance()))


if __name__ == "__main__":
    main()
