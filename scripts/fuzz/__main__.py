"""`python -m scripts.fuzz`: see `scripts.fuzz`."""

import argparse
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from scripts.fuzz.worker import FORMATS, Outcome, draw

WAIT, START = 700, 600
"""Most seconds for a case that computes nothing, and for a process to start on a busy machine."""


class Worker:
    """A process that runs cases, started again after each that it does not survive."""

    def __init__(self, seed: int, place: Path, formats: list[str] | None) -> None:
        self.seed, self.place, self.formats = seed, place, formats
        self.process: subprocess.Popen[str] | None = None

    def run(self, number: int) -> Outcome:
        """One case; a crash or a hang is a fault like others."""
        if self.process is None:
            self._start()
        process = self.process
        assert process is not None
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: there is no answer
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
        answer = self._line(WAIT)
        if answer:
            return Outcome(**json.loads(answer))
        if answer == "":
            status = process.wait()
            kind = "hangs" if status == -signal.SIGPROF else f"the process ends with status {status}"
        else:
            kind = "hangs"
        self.stop()
        name = draw(self.seed, number, self.formats)[0]
        return Outcome(number, name, "fault", f"{name}: {kind}")

    def _start(self) -> None:
        words = [sys.executable, "-m", "scripts.fuzz.worker", str(self.seed), str(self.place)]
        with (self.place / "stderr.txt").open("a") as told:
            self.process = subprocess.Popen(
                [*words, json.dumps(self.formats)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=told,
                text=True,
                cwd=Path(__file__).parents[2],
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": "1",
                    "POLARS_MAX_THREADS": "1",
                    "RAYON_NUM_THREADS": "1",
                },
            )
        if self._line(START) != "ready\n":
            self.stop()
            raise SystemExit(f"the process that runs cases does not start; see {self.place / 'stderr.txt'}")

    def _line(self, seconds: float) -> str | None:
        """The next line; "" if the process has ended, None if none comes in time."""
        assert self.process is not None
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        return self.process.stdout.readline() if ready else None

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            with contextlib.suppress(BrokenPipeError):
                self.process.communicate()  # closes what it was connected by
            self.process = None


def table(outcomes: list[Outcome]) -> str:
    """Counts by format, then each kind of fault with its number and its first case."""
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    kinds: dict[tuple[str, str], list[int]] = defaultdict(list)
    for one in outcomes:
        verdicts[one.format][one.verdict] += 1
        if one.verdict == "fault":
            kinds[one.format, one.kind].append(one.number)
    verdicts["all"] = sum(verdicts.values(), Counter())
    lines = [f"{'format':<18}{'tried':>8}{'accepted':>10}{'refused':>9}{'faults':>8}"]
    for name in [*(name for name in FORMATS if name in verdicts), "all"]:
        found = verdicts[name]
        counts = f"{found['accepted']:>10,}{found['refused']:>9,}{found['fault']:>8,}"
        lines.append(f"{name:<18}{found.total():>8,}{counts}")
    for (name, kind), numbers in sorted(kinds.items(), key=lambda item: -len(item[1])):
        lines.append(f"{len(numbers):>6} x {name}: {kind[:100]} (first: case {numbers[0]})")
    return "\n".join(lines)


def main() -> None:
    """Run the cases, print the table, and exit with 1 if there are faults."""
    parser = argparse.ArgumentParser(prog="python -m scripts.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the number of the one case to run")
    parser.add_argument("--format", action="append", choices=list(FORMATS), help="of these formats alone")
    parser.add_argument("--out", type=Path, default=Path("fuzz"), help="folder of the faults' inputs [fuzz]")
    given = parser.parse_args()
    place = given.out / f"seed-{given.seed}"
    place.mkdir(parents=True, exist_ok=True)
    for old in place.glob("[0-9]*"):
        raise SystemExit(f"{old} is of an earlier run; remove it, or choose another --out")
    numbers = range(given.cases) if given.only is None else [given.only]
    worker, outcomes, start = Worker(given.seed, place.resolve(), given.format), [], time.monotonic()
    try:
        for number in numbers:
            outcome = worker.run(number)
            outcomes.append(outcome)
            if outcome.verdict == "fault":
                report = place / str(number) / "fault.json"
                report.parent.mkdir(exist_ok=True)
                report.write_text(json.dumps(vars(outcome), indent=2) + "\n")
            if sys.stderr.isatty() and number % 20 == 0:
                print(f"\r{number:,} of {len(numbers):,}", end="", file=sys.stderr)
    finally:
        worker.stop()
    seconds = time.monotonic() - start
    pace = len(outcomes) / seconds
    print(f"{table(outcomes)}\n{len(outcomes):,} cases in {seconds:,.0f} s, {pace:.0f} a second")
    faults = sum(one.verdict == "fault" for one in outcomes)
    if faults:
        raise SystemExit(f"{faults:,} faults; their inputs are in {place}")


if __name__ == "__main__":
    main()
