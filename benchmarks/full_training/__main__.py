"""Train one SASRec on a log by Farzi, RecTools and RecBole: events per second, and nDCG@10 over time.

All train on the log's training events, and Farzi's evaluator measures every model after each epoch on the
same validation events: ranks among all items, seen ones included, ties count against the model. A library
that is not installed is left out.
"""

import argparse
import json
import os
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.full_training.libraries import LIBRARIES, Shape
from benchmarks.full_training.watch import Point, Watch
from farzi.api import load_log
from farzi.provenance import provenance


def main() -> None:
    """Train with each library in its turn and print the table."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.full_training",
        description=(__doc__ or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("data", help="a named log or a file")
    parser.add_argument("--file", help="a copy of a named log")
    parser.add_argument("--only", nargs="+", choices=LIBRARIES, default=list(LIBRARIES), help="libraries")
    parser.add_argument("--minutes", type=float, default=5.0, help="of training of each")
    parser.add_argument("--targets", type=float, nargs="*", default=[], help="nDCG@10, per cent, to reach")
    for field in fields(Shape):
        name, kind = (
            f"--{field.name.replace('_', '-')}",
            int if field.default is None else type(field.default),
        )
        parser.add_argument(name, type=kind, default=field.default, help="see Shape")
    parser.add_argument(
        "--cpu-time", action="store_true", help="count CPU seconds, where others use the cores too"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--out", type=Path, help="JSON lines, appended to")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    shape = Shape(**{field.name: getattr(args, field.name) for field in fields(Shape)})
    log = load_log(args.data, **({} if args.file is None else {"file": args.file}))

    rows: list[dict[str, Any]] = []
    for library in args.only:

        def report(point: Point, library: str = library) -> None:
            cost = f"{point.events:,} events, {point.seconds:.0f} s ({point.cpu_seconds:.0f} s of CPU)"
            print(f"{library}: {cost}, nDCG@10 {100 * point.ndcg:.2f} %", flush=True)

        watch = Watch(log, 60 * args.minutes, args.cpu_time, report)
        try:
            LIBRARIES[library](log, shape, watch)
        except ModuleNotFoundError as missing:
            print(f"{library}: left out, {missing.name} is not installed")
            continue
        row = {
            "library": library,
            "version": version(library),
            "data": log.name,
            "shape": asdict(shape),
            "points": [asdict(point) for point in watch.points],
            "load": os.getloadavg(),
            **provenance(),
        }
        rows.append(row)
        if args.out is not None:
            with args.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
    Console(width=140).print(table(rows, args.targets, "cpu_seconds" if args.cpu_time else "seconds"))


def table(rows: list[dict[str, Any]], targets: list[float], clock: str) -> Table:
    """Speed, the best measurement, and the seconds until the first one that is as good as each target."""
    found = Table(title=f"Validation nDCG@10, per cent; {clock.replace('_', ' ')}")
    headings = [
        "library",
        "events / s",
        "epochs",
        "best",
        "at s",
        *(f"s to {target:g}" for target in targets),
    ]
    for heading in headings:
        found.add_column(heading, justify="left" if heading == "library" else "right")
    for row in rows:
        points = row["points"]
        best, last = max(points, key=lambda point: point["ndcg"]), points[-1]
        first = [
            next((f"{point[clock]:.0f}" for point in points if 100 * point["ndcg"] >= target), "–")
            for target in targets
        ]
        speed = f"{last['events'] / last[clock]:,.0f}"
        name = f"{row['library']} {row['version']}"
        found.add_row(
            name, speed, str(len(points)), f"{100 * best['ndcg']:.2f}", f"{best[clock]:.0f}", *first
        )
    return found


if __name__ == "__main__":
    main()
