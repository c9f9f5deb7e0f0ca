"""Whether the device gives the right metagradients, and the same bits again."""

import signal
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.gpu.part import TINY, Found, Row, Setting
from benchmarks.made_log import made_log
from benchmarks.metagradient.contestants.autograd import Autograd
from benchmarks.metagradient.contestants.engine import Engine
from benchmarks.metagradient.problem import Array, Problem, Sizes
from farzi.distillation import Progress, StepReport, distill
from farzi.unroll import SquareRoot

DOUBLE, TIMES = 1e-11, 10.0
"""The largest relative error in float64; in float32 so many times that of autograd in float32."""


def exactness(setting: Setting) -> Found:
    """A metagradient through 12 steps by each execution, beside autograd's on the CPU in float64."""
    sizes = Sizes(steps=12, sequences=8, length=12, vocabulary=200, hidden=16, real=16)
    problem = Problem.make(Sizes(3, 4, 8, 60, 8, 1, real=6) if setting.quick else sizes)
    true = _answer(Autograd(), problem, "float64", "cpu")
    rows: list[Row] = []
    wrong: list[str] = []
    for dtype in ("float64", "float32"):
        plain = _error(_answer(Autograd(), problem, dtype, str(setting.device)), true)
        limit = DOUBLE if dtype == "float64" else TIMES * plain
        rows.append({"metagradient by": "autograd", "type": dtype, "relative error": plain, "limit": limit})
        engines = {name: Engine(execution=execution) for name, execution in setting.executions.items()}
        engines["eager, square root of the steps stored"] = Engine(memory=SquareRoot())
        for name, engine in engines.items():
            error = _error(_answer(engine, problem, dtype, str(setting.device)), true)
            rows.append({"metagradient by": name, "type": dtype, "relative error": error, "limit": limit})
            if not error <= limit:
                wrong.append(f"{name} in {dtype} has an error of {error:.1e}, above {limit:.1e}")
    return Found(rows, tuple(wrong), (f"Left out: {setting.left_out}.",) if setting.left_out else ())


def _answer(contestant: Autograd | Engine, problem: Problem, dtype: str, device: str) -> Array:
    given = problem.cast(dtype)
    object.__setattr__(given, "device", device)
    contestant.prepare(given)
    for _ in range(2):  # CUDA graphs are recorded in the second run
        contestant.run()
    return contestant.run()


def _error(found: Array, true: Array) -> float:
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


class _Stop(Progress):
    """Ctrl-C after an outer step."""

    def __init__(self, number: int) -> None:
        self.number = number

    def step(self, number: int, fraction: float, seconds: float, report: StepReport) -> None:
        if number == self.number:
            self.number = 0
            signal.raise_signal(signal.SIGINT)


def resume(setting: Setting) -> Found:
    """A distillation of a made-up log: twice, and stopped and resumed twice.

    With PyTorch's default algorithms, and with its deterministic ones.
    """
    rows: list[Row] = []
    before = torch.are_deterministic_algorithms_enabled()
    try:
        for execution in ("eager",) if setting.quick else ("eager", "compiled"):
            for deterministic in (False, True):
                torch.use_deterministic_algorithms(deterministic, warn_only=True)
                rows.append({"steps": execution, "deterministic": deterministic, **_same(setting, execution)})
    finally:
        torch.use_deterministic_algorithms(before)
    wrong = [
        f"{row['steps']}: other bits"
        for row in rows
        if (row["deterministic"] or setting.device.type == "cpu") and not (row["again"] and row["resumed"])
    ]
    note = "again, resumed: whether a second run, and one stopped twice and resumed, end in the same bits."
    if setting.device.type != "cpu":
        note += " A GPU adds in any order unless `torch.use_deterministic_algorithms(True)` is set."
    return Found(rows, tuple(wrong), (note,))


def _same(setting: Setting, execution: str) -> Row:
    """Whether a second run, and one that was stopped and resumed twice, end in the same bits."""
    recipe, log = TINY.changed({"outer.execution": execution}), made_log(60, 40, 12)
    with tempfile.TemporaryDirectory() as folder:
        whole, again, cut = (Path(folder) / name for name in ("whole", "again", "cut"))
        for out in (whole, again):
            distill(recipe, out, dataset=log, device=setting.device)
        stops = 0
        for step in (1, 4):
            try:
                distill(recipe, cut, dataset=log, device=setting.device, progress=_Stop(step))
            except KeyboardInterrupt:
                stops += 1
        distill(recipe, cut, dataset=log, device=setting.device)
        return {"again": _bits(again) == _bits(whole), "resumed": stops == 2 and _bits(cut) == _bits(whole)}


def _bits(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("summary.safetensors", "history.jsonl")}
