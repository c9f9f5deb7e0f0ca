"""How fast the device is: its ceilings, a step beside them and beside other libraries, and an outer step."""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.engine_step import arguments, measured, operations
from benchmarks.gpu.part import TINY, Found, Row, Setting
from benchmarks.made_log import made_log
from benchmarks.metagradient.contestants import NotInstalled, make
from benchmarks.metagradient.problem import Problem, Sizes
from benchmarks.metagradient.together import side_by_side
from benchmarks.outer_step import timed_steps
from farzi.distillation import OuterLoop
from farzi.recipe import Recipe
from farzi.summary import RandomInitializer, Size
from farzi.unroll.diagnostics.footprint import flops
from farzi.unroll.torch_private import TorchDispatchMode, tree_leaves

RECIPE = Path(__file__).parents[2] / "research" / "recipes" / "ml-1m-50x20.yaml"
USERS, ITEMS, EVENTS = 6040, 3416, 165
"""MovieLens-1M's size."""
PEERS = ("engine()", "autograd()", "higher()", "torchopt()")


def ceilings(setting: Setting) -> Found:
    """The fastest product of two square matrices, and copy of a tensor, of several sizes."""
    rows: list[Row] = []
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        best = max(_product_rate(setting, dtype, size) for size in _sizes(setting))
        rows.append(
            {"what": f"matrix product in {str(dtype).removeprefix('torch.')}", "TFLOP/s": best / 1e12}
        )
    rows.append({"what": "copy: bytes read and written", "GB/s": _copy_rate(setting) / 1e9})
    matmul = torch.get_float32_matmul_precision()
    return Found(rows, notes=(f"Products in float32 are of precision `{matmul}`, as in every run of Farzi.",))


def _sizes(setting: Setting) -> tuple[int, ...]:
    if setting.device.type == "cuda" and not setting.quick:
        return (1024, 4096, 8192)
    return (256,) if setting.quick else (512, 1024)


def _product_rate(setting: Setting, dtype: torch.dtype, size: int) -> float:
    """Operations a second."""
    left, right = (torch.randn(size, size, device=setting.device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / _seconds(setting, lambda: left @ right)


def _copy_rate(setting: Setting) -> float:
    """Bytes a second, each read once and written once."""
    large = setting.device.type == "cuda" and not setting.quick
    source = torch.ones((2**30 if large else 2**24) // 4, device=setting.device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _seconds(setting, lambda: target.copy_(source))


def _seconds(setting: Setting, operation: Callable[[], Any]) -> float:
    """Of one call: the best of five rounds of calls that take some time together."""
    operation()
    setting.synchronize()
    count, best = (1 if setting.quick else 10), float("inf")
    for _ in range(5):
        begun = time.perf_counter()
        for _ in range(count):
            operation()
        setting.synchronize()
        best = min(best, (time.perf_counter() - begun) / count)
    return best


class _Traffic(TorchDispatchMode):
    """Adds up the bytes that each operation reads and writes, views aside."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            parts = (*tree_leaves((args, kwargs or {})), *tree_leaves(result))
            self.total += sum(part.nbytes for part in parts if isinstance(part, Tensor))
        return result


def step(setting: Setting) -> Found:
    """The engine's step by each execution, and its share of the ceilings."""
    tiny = "--sequences 4 --length 8 --vocabulary 60 --hidden 8 --steps 2 --repeats 2 --only eager graph"
    large = "--sequences 50 --length 50 --vocabulary 3417 --hidden 64 --layers 2 --heads 2 --steps 20"
    words = (tiny if setting.quick else large).split()
    args = arguments().parse_args([*words, "--device", str(setting.device)])
    if not setting.quick:
        args.repeats = 5
        args.only = ["eager", "graph", "compiled"] + ["CUDA graphs"] * (setting.device.type == "cuda")
    _, work = operations(args)["eager"]
    count = flops(work) / args.steps
    with _Traffic() as traffic:
        work()
    moved = traffic.total / args.steps
    top = _product_rate(setting, torch.float32, _sizes(setting)[-1])
    copy = _copy_rate(setting)
    rows: list[Row] = [
        {
            "steps": row.name,
            "plain, ms a step": 1e3 * row.plain,
            "metagradient, ms a step": 1e3 * row.metagradient,
            "ratio": statistics.median(row.ratios),
            "peak, MiB": row.peak,
            "first run, s": row.first,
            "TFLOP/s": count / row.metagradient / 1e12,
            "of the product ceiling": count / row.metagradient / top,
            "of the memory ceiling": moved / row.metagradient / copy if row.name == "eager" else None,
        }
        for row in measured(args)
    ]
    notes = (
        f"SASRec {args.hidden} x {args.layers}, {args.sequences} x {args.length} events, V = "
        f"{args.vocabulary:,}, T = {args.steps}. A step of a metagradient takes {count / 1e9:.3g} GFLOP in "
        f"products of matrices; eagerly its operations read and write {moved / 1e6:.3g} MB. Compiled steps "
        "fuse operations and move less: their share of the memory ceiling is not counted.",
    )
    return Found(rows, notes=notes)


def peers(setting: Setting) -> Found:
    """The engine beside other libraries, in one process, in turns."""
    sizes = Sizes(2, 4, 8, 60, 8, 1, real=6) if setting.quick else Sizes(20)
    problem = Problem.make(sizes)
    object.__setattr__(problem, "device", str(setting.device))
    wanted = ["training_by_engine()", *PEERS]
    if not setting.quick:
        wanted += ["training()", "engine(execution=Compiled())"]
    there, missing = [], []
    for name in wanted:
        try:
            make(name)
            there.append(name)
        except NotInstalled as package:
            missing.append(str(package))
    rows = [
        {
            "contestant": side.contestant,
            "ms a step": 1e3 * statistics.median(side.seconds) / sizes.steps,
            "times training": statistics.median(side.ratios),
        }
        for side in side_by_side(there, problem, 2 if setting.quick else 3)
    ]
    return Found(rows, notes=(f"Not installed: {', '.join(missing)}.",) if missing else ())


def outer_step(setting: Setting) -> Found:
    """An outer step on a made-up log of MovieLens-1M's size, by the recipe of its summary of 50 x 20."""
    recipe, log = Recipe.load(RECIPE), made_log(USERS, ITEMS, EVENTS)
    if setting.quick:
        recipe, log = TINY, made_log(60, 40, 12)
    executions = ["eager", "graph"] if setting.quick else ["eager", "graph", "compiled", "CUDA graphs"]
    rows: list[Row] = []
    for name in executions:
        if name not in setting.executions:
            continue
        torch.manual_seed(0)
        shape, dim = recipe.summary, recipe.summary.parametrization.own["dim"]
        size = Size(shape.sequences, shape.length, dim, len(log.vocabulary), shape.temperature)
        initial = RandomInitializer()(size, log.train, np.random.default_rng(0)).to(setting.device)
        loop = OuterLoop(recipe, log, initial)
        loop.execution = setting.executions[name]
        peak = None
        if setting.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(setting.device)
        times, _ = timed_steps(loop, 4 if setting.quick else 12)
        if setting.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(setting.device) / 2**20
        later = times[len(times) // 2 :]
        rows.append(
            {
                "steps": name,
                "first step, s": times[0],
                "outer step, s": statistics.median(later),
                "1,000 steps, min": 1000 * statistics.median(later) / 60,
                "peak, MiB": peak,
            }
        )
    size = f"{len(log.train):,} users, {len(log.vocabulary) - 1:,} items, {len(log.train.items):,} events"
    cpu = f"; {os.cpu_count()} CPU cores, {torch.get_num_threads()} threads"
    shape = f"{recipe.summary.sequences} x {recipe.summary.length} positions"
    return Found(rows, notes=(f"Made-up log: {size}; a summary of {shape}{cpu}.",))
