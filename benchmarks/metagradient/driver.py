"""All contestants in turn, one process each, and their rows, one JSON object a line."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.metagradient.measure import OUT_OF_MEMORY, Task
from benchmarks.metagradient.problem import Problem, Sizes

Row = dict[str, Any]
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        learning_rate: Adam's α.
        dtype: of the contestants; the reference is always in float64.
        device: "cpu", or a CUDA device of PyTorch.
        threads: CPU threads of each contestant.
        turns: how often each contestant gets a process.
        repeats: timed calls in each process, after a first one that compiles and warms up.
        limit_gib: memory limit of each process, on the CPU.
        timeout: seconds a process may take.
        reference: the contestant whose answer in float64 counts as the true one; "" for none.
    """

    learning_rate: float = 0.02
    dtype: str = "float32"
    device: str = "cpu"
    threads: int = len(os.sched_getaffinity(0))
    turns: int = 3
    repeats: int = 1
    limit_gib: float = 16.0
    timeout: float = 3600.0
    reference: str = "engine()"


def rows(contestants: Sequence[str], sizes: Sequence[Sizes], settings: Settings) -> Iterator[Row]:
    """Measure each contestant at each of `sizes`, smaller ones first, `settings.turns` times, interleaved.

    Who cannot do a problem gets one row that says why, and is left out from then on.

    Raises:
        RuntimeError: the reference could not be made.
    """
    out: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            problem = Problem.make(size, settings.learning_rate)
            problem.save(Path(folder, "problem.npz"))
            reference = _reference(folder, settings)
            for turn in range(settings.turns):
                for contestant in contestants:
                    if contestant in out:
                        continue
                    found = _child(_task(contestant, folder, settings, reference=reference), folder, settings)
                    if found["status"] != "ok":
                        out.add(contestant)
                    about = {"contestant": contestant, "turn": turn, "parameters": problem.parameters}
                    yield about | asdict(size) | asdict(settings) | found


def _task(contestant: str, folder: str, settings: Settings, **more: Any) -> Task:
    limit = int(settings.limit_gib * 2**30)
    common = Task(
        contestant,
        f"{folder}/problem.npz",
        settings.dtype,
        settings.device,
        settings.threads,
        settings.repeats,
        limit,
    )
    return Task(**asdict(common) | more)


def _reference(folder: str, settings: Settings) -> str | None:
    """The file of the true X̄."""
    if not settings.reference:
        return None
    path = f"{folder}/reference.npy"
    task = _task(settings.reference, folder, settings, dtype="float64", repeats=0, answer=path)
    found = _child(task, folder, settings)
    if found["status"] != "ok":
        raise RuntimeError(
            f"the reference, {settings.reference} in float64, {found['status']}: {found['reason']}"
        )
    return path


def _child(task: Task, folder: str, settings: Settings) -> Row:
    """What `measure` returns, from a process of its own."""
    result = Path(folder, "result.json")
    result.unlink(missing_ok=True)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(task.threads))
    # a compile cache of this run: the first turn's first calls count what compilation costs
    env = os.environ | threads | {"PYTHONPATH": str(ROOT), "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor"}
    command = [sys.executable, "-m", "benchmarks.metagradient.measure", json.dumps(asdict(task)), str(result)]
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=settings.timeout)
    except subprocess.TimeoutExpired:
        return {"status": "timed out", "reason": f"no answer in {settings.timeout:g} s"}
    if result.exists():
        return json.loads(result.read_text())
    end = signal.Signals(-done.returncode).name if done.returncode < 0 else f"exit {done.returncode}"
    full = end == "SIGKILL" or OUT_OF_MEMORY.search(done.stderr)
    status = "out of memory" if full else "failed"
    return {"status": status, "reason": f"{end} {done.stderr.strip()[-600:]}"}
