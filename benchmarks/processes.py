"""What several processes save: the teach stage, and outer steps with replicas.

One process with one thread, one process with two, and two processes with one thread each take turns; the
ratio is that of one round. Besides the clock it has the processor's time of the busiest process, which says
how evenly the work is shared even where other programs take turns with it. Nothing is written.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

from farzi.data import load_data
from farzi.distillation import Cache, OuterLoop, initialise, teach
from farzi.processes import joined
from farzi.provenance import provenance
from farzi.recipe import presets

WAYS = {"1 process, 1 thread": (1, 1), "1 process, 2 threads": (1, 2), "2 processes, 1 thread": (2, 1)}
"""Processes, and threads of each."""


def work(args: argparse.Namespace) -> None:
    """What each process does; the first one prints the seconds of both parts as JSON."""
    recipe = presets.LOG.changed(
        {
            "init": {"type": "teacher", "teachers": args.teachers},
            "teach.max_steps": args.teach_steps,
            "teach.validate_every": args.teach_steps,
            "outer.replicas": args.replicas,
            "outer.execution": "eager",
            "outer.pool": 1,
        }
    )
    data = load_data(recipe.data)
    with joined() as processes:
        teach(recipe.changed({"teach.max_steps": 1}), data, Cache())  # the first steps are slower
        processes.gather(None)
        begun, busy = time.perf_counter(), time.process_time()
        teachers = teach(recipe, data, Cache()).teachers
        seconds = {"teach": time.perf_counter() - begun}
        seconds["teach, processor"] = max(processes.gather(time.process_time() - busy))
        initial = processes.once(lambda: initialise(recipe, data, teachers))
        loop, steps = OuterLoop(recipe, data, initial, teachers=teachers), list[tuple[float, float]]()
        for _ in range(2 + args.steps):
            begun, busy = time.perf_counter(), time.process_time()
            loop.take_step(0.01)
            steps.append((time.perf_counter() - begun, time.process_time() - busy))
        seconds["outer step"] = statistics.median(passed for passed, _ in steps[2:])
        seconds["outer step, processor"] = max(
            processes.gather(statistics.median(used for _, used in steps[2:]))
        )
        numbers = sum(part.numel() for part in initial.parts.values())
        if processes.first:
            print(json.dumps(seconds | {"bytes of a step": 4 * numbers * args.replicas}))


def measure(args: argparse.Namespace, words: list[str]) -> None:
    """The driver: each way in turns, a JSON object at the end."""
    rounds: list[dict[str, Any]] = []
    for _ in range(args.rounds):
        rounds.append({})
        for way, (count, threads) in WAYS.items():
            launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
            command = [*launcher, f"--nproc-per-node={count}", "-m", "benchmarks.processes", "--work", *words]
            environ = {**os.environ, "OMP_NUM_THREADS": str(threads)}
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environ)
            rounds[-1][way] = json.loads(done.stdout.splitlines()[-1])
            print(way, rounds[-1][way], file=sys.stderr, flush=True)
    *before, after = WAYS
    ratios = {
        part: {way: sorted(round(one[way][part] / one[after][part], 2) for one in rounds) for way in before}
        for part in ("teach", "teach, processor", "outer step", "outer step, processor")
    }
    print(json.dumps({"times as fast as": ratios, "rounds": rounds, **provenance()}, indent=2))


def main() -> None:
    """Measure, or do the work of one process."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--teachers", type=int, default=2)
    parser.add_argument("--teach-steps", type=int, default=40)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6, help="outer steps that are timed")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args)
    else:
        measure(
            args,
            [f"--{name.replace('_', '-')}={value}" for name, value in vars(args).items() if name != "work"],
        )


if __name__ == "__main__":
    main()
