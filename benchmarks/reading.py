"""A long log read, described and split, beside polars' own read and sort of the same file.

Each turn runs both in processes of their own; peak memory is that above what the imports take. Few users and
items have most of the events, and the rows are in random order.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

READERS = {"csv": pl.read_csv, "parquet": pl.read_parquet}


def make_log(folder: Path, rows: int) -> dict[str, Path]:
    """The same log as CSV and as Parquet; its rows in random order."""
    rng = np.random.default_rng(0)
    users, items = max(2, rows // 60), max(10, rows // 300)
    frame = pl.DataFrame(
        {
            "user_id": 1 + (users * rng.random(rows) ** 1.5).astype(np.int64),
            "item_id": 1 + (items * rng.random(rows) ** 2).astype(np.int64),
            "timestamp": rng.integers(1_500_000_000, 1_700_000_000, rows),
        }
    )
    paths = {kind: folder / f"log.{kind}" for kind in READERS}
    frame.write_csv(paths["csv"])
    frame.write_parquet(paths["parquet"])
    return paths


def read(who: str, kind: str, path: Path) -> None:
    """Print the seconds and the peak memory in bytes of one reading in this process, imports left out."""
    if who == "polars":
        work = lambda: READERS[kind](path).sort("user_id", "timestamp")  # noqa: E731
    else:
        from farzi.api import load_log

        work = lambda: load_log(path).facts  # noqa: E731
    before, start = peak(), time.perf_counter()
    result = work()
    print(time.perf_counter() - start, peak() - before, len(result))


def peak() -> int:
    """Most memory that this process has had so far, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measured(who: str, kind: str, path: Path) -> tuple[float, float]:
    """Seconds and peak bytes of `read` in a new process."""
    command = [sys.executable, "-m", "benchmarks.reading", "--who", who, "--kind", kind, "--path", str(path)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(out[0]), float(out[1])


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    for hidden in ("--who", "--kind", "--path"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.who:
        read(args.who, args.kind, Path(args.path))
        return
    with tempfile.TemporaryDirectory() as folder:
        for kind, path in make_log(Path(folder), args.rows).items():
            turns = [[measured(who, kind, path) for who in ("polars", "farzi")] for _ in range(args.repeats)]
            ratios = [ours[0] / theirs[0] for theirs, ours in turns]
            above = [(ours[1] - theirs[1]) / args.rows for theirs, ours in turns]
            seconds = [f"{theirs[0]:.2f} and {ours[0]:.2f} s" for theirs, ours in turns]
            print(
                f"{kind}: {statistics.median(ratios):.2f} times polars' time ({min(ratios):.2f} to "
                f"{max(ratios):.2f}; {'; '.join(seconds)}), "
                f"peak memory {statistics.median(above):.0f} bytes an event above polars' "
                f"{statistics.median(theirs[1] for theirs, _ in turns) / args.rows:.0f}"
            )


if __name__ == "__main__":
    main()
