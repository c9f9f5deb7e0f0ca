"""One contestant in a process of its own: `python -m benchmarks.metagradient.measure TASK RESULT`."""

import importlib.metadata
import json
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.metagradient import memory
from benchmarks.metagradient.contestants import NotInstalled, make, package
from benchmarks.metagradient.problem import Array, Problem

OUT_OF_MEMORY = re.compile(
    "out of memory|allocate memory|bad_alloc|RESOURCE_EXHAUSTED|MemoryError", re.IGNORECASE
)


@dataclass(frozen=True)
class Task:
    """What to measure.

    Attributes:
        contestant: its name, a call.
        problem: a file of `Problem.save`.
        dtype: "float32" or "float64".
        device: where PyTorch works.
        threads: CPU threads.
        repeats: timed calls after the first one; where there are some, one more measures memory.
        limit: bytes of address space, on the CPU only: CUDA reserves more than it uses.
        reference: a file with the true X̄, or None.
        answer: a file for this contestant's X̄, or None.
    """

    contestant: str
    problem: str
    dtype: str = "float32"
    device: str = "cpu"
    threads: int = 1
    repeats: int = 1
    limit: int | None = None
    reference: str | None = None
    answer: str | None = None


def measure(task: Task) -> dict[str, Any]:
    """Run the task in this process, which it changes: threads, memory limit.

    Returns:
        `status`, "ok", "not installed", "out of memory" or "failed"; then figures, or a `reason`.
    """
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: task.threads])  # JAX asks nothing else
    memory.limit(task.limit if task.device == "cpu" else None)
    try:
        return {"status": "ok"} | _run(task)
    except NotInstalled as error:
        return {"status": "not installed", "reason": str(error)}
    except Exception as error:
        memory.limit(None)
        reason = f"{type(error).__name__}: {error}"
        return {
            "status": "out of memory" if OUT_OF_MEMORY.search(reason) else "failed",
            "reason": reason[:600],
        }


def _run(task: Task) -> dict[str, Any]:
    contestant = make(task.contestant)
    contestant.prepare(Problem.load(Path(task.problem), task.dtype, task.device))
    first, answer = _timed(contestant.run)
    highest = memory.process_peak()
    meter, seconds, added = memory.Meter(task.device), [], []
    for _ in range(task.repeats):
        taken, answer = _timed(contestant.run)
        seconds.append(taken)
    if task.repeats:  # by itself: what the meter makes the process give back takes time to get again
        del answer
        meter.start()
        _, answer = _timed(contestant.run)
        added.append(meter.added())
        highest = max(highest, memory.process_peak())
    if task.answer is not None:
        np.save(task.answer, answer)
    return {
        "first_seconds": first,
        "seconds": seconds,
        "added_bytes": added,
        "process_bytes": highest,
        "error": None if task.reference is None else _error(answer, np.load(task.reference)),
        "version": importlib.metadata.version(package(task.contestant)),
    }


def _timed(run: Any) -> tuple[float, Array]:
    begin = time.perf_counter()
    answer = run()
    return time.perf_counter() - begin, answer


def _error(answer: Array, reference: Array) -> float | None:
    """‖X̄ − X̄*‖ / ‖X̄*‖; None for an answer that is no X̄, as plain training's."""
    if answer.shape != reference.shape:
        return None
    return float(np.linalg.norm(answer - reference) / np.linalg.norm(reference))


def main() -> None:
    """Measure the task that the first argument holds as JSON; write the result to the file of the second."""
    task = Task(**json.loads(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(measure(task)))


if __name__ == "__main__":
    main()
