"""Whether a long run stays as it began: memory, open files, objects, speed over thousands of outer steps."""

import argparse
import gc
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.gpu.part import TINY
from benchmarks.made_log import made_log
from farzi.distillation import Progress, StepReport, distill

CHANGES = {
    "summary": {"sequences": 4, "length": 4, "parametrization": {"type": "low_rank", "dim": 2}},
    "student": {"type": "sasrec", "hidden": 4},
    "inner": {"steps": 4, "batch": 2},
    "outer": {"batch": 8, "window": 1, "burn_in": 1, "pool": 2, "probe": None},
}


class Row(NamedTuple):
    """The process after some outer steps."""

    steps: int
    resident: float  # MiB
    files: int  # open handles
    threads: int
    objects: int  # that the garbage collector knows, after a collection
    rate: float  # outer steps a second since the row before, validations and checkpoints included


class Watch(Progress):
    """Measures the process after every `every` outer steps."""

    def __init__(self, every: int) -> None:
        self.every, self.rows = every, list[Row]()
        self._last = time.perf_counter()

    def step(self, number: int, fraction: float, seconds: float, report: StepReport) -> None:
        """See `Progress`."""
        if number % self.every:
            return
        rate = self.every / (time.perf_counter() - self._last)
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        resident = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        files = len(list(Path("/proc/self/fd").iterdir()))
        row = Row(number, resident, files, threading.active_count(), len(gc.get_objects()), rate)
        self.rows.append(row)
        print(_line(*row[:1], f"{resident:.0f}", *row[2:5], f"{rate:.1f}"), flush=True)
        self._last = time.perf_counter()


def steady(steps: int, every: int, out: Path, **changes: Any) -> list[Row]:
    """The rows of a run of a tiny recipe on a made-up log: `distill`, with checkpoints and validations."""
    watch = Watch(every)
    recipe = TINY.changed({**CHANGES, **changes}).changed({"outer.steps": steps, "select.every": every})
    distill(recipe, out, dataset=made_log(40, 30, 10), progress=watch, checkpoint_seconds=1.0)
    return watch.rows


def _line(*cells: Any) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def main() -> None:
    """Take the steps, and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=5000, help="outer steps")
    parser.add_argument("--every", type=int, default=500, help="outer steps between two rows")
    args = parser.parse_args()
    print(_line("outer steps", "resident MiB", "open files", "threads", "objects", "steps a second"))
    print("|" + "--:|" * len(Row._fields))
    with tempfile.TemporaryDirectory() as folder:
        steady(args.steps, args.every, Path(folder) / "run")


if __name__ == "__main__":
    main()
