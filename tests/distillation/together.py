"""What each of several processes does that a test starts by `torchrun`: `together.py CSV FOLDER [DEVICE]`."""

import json
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import farzi
from farzi.data import Log
from farzi.distillation import OuterLoop, initialise
from farzi.errors import FarziError
from farzi.processes import Processes, current, joined
from farzi.recipe import Inner, Outer, Recipe, Select, SummaryShape, Teach
from farzi.recipe import variants as v

RECIPE = Recipe(
    student=v.SASRec(hidden=8),
    teach=Teach(max_steps=10, validate_every=5),
    summary=SummaryShape(sequences=6, length=5, parametrization=v.LowRank(dim=4, label_decoder=True)),
    init=v.TeacherInit(teachers=3, sequences="real"),
    inner=Inner(optimizer=v.Adam(learning_rate=0.02), cooldown=0.0, steps=6, batch=None),
    outer=Outer(steps=3, batch=16, learning_rate=0.03, window=2, burn_in=1, pool=2, replicas=3),
    select=Select(every=3, students=3),
)
SENT: list[Any] = [
    torch.arange(12.0).view(3, 4).T,
    torch.tensor([True, False]),
    torch.zeros(0, 3, dtype=torch.bfloat16),
    torch.tensor(7, dtype=torch.int16),
    {"a": [1, "two", torch.tensor([0.1], dtype=torch.float64)], "b": torch.nn.Parameter(torch.ones(2))},
]


@dataclass
class OwnError(Exception):
    """Needs two values, so that it cannot be pickled as exceptions are."""

    what: str
    more: threading.Lock


def error_of(processes: Processes, raised: dict[int, Exception]) -> tuple[str, str]:
    """Of a `map` whose items raise, as this process gets it."""

    def work(item: int) -> int:
        if item in raised:
            raise raised[item]
        return item

    try:
        processes.map(work, range(4))
    except Exception as error:
        return type(error).__name__, str(error)
    return "", ""


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, torch.Tensor):
        kind = (ours.dtype, ours.shape, ours.stride(), type(ours))
        return kind == (theirs.dtype, theirs.shape, theirs.stride(), type(theirs)) and torch.equal(
            ours, theirs
        )
    if isinstance(ours, dict):
        return list(ours) == list(theirs) and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return ours == theirs


@joined()
def checks(log: Log) -> dict[str, Any]:
    """Facts for the test to judge."""
    processes, called = current(), list[int]()

    def send(k: int) -> Any:
        called.append(k)
        return SENT[k]

    sent = processes.map(send, range(len(SENT)))
    to_first = processes.map(lambda k: SENT[k], range(len(SENT)), everywhere=False)
    loop = OuterLoop(RECIPE, log, initialise(RECIPE, log))
    loop.take_step(0.03)
    return {
        "rank": processes.rank,
        "called": called,
        "same": [same(ours, theirs) for ours, theirs in zip(SENT, sent, strict=True)],
        "to first": [one is not None and same(SENT[k], one) for k, one in enumerate(to_first)],
        "once": processes.once(lambda: processes.rank),
        "gather": processes.gather(10 + processes.rank),
        "error": error_of(processes, {1: FarziError("log.csv, line 3: no item")}),
        "two errors": error_of(processes, {2: OSError(28, "No space"), 1: FarziError("second")}),
        "own error": error_of(processes, {1: OwnError("what", threading.Lock())}),
        "runs": [any(pool.state_dict()) for pool in loop.pools[0]],
        "joined inside": _inside(),
    }


@joined()
def _inside() -> bool:
    return current().link is not None


def load(csv: str) -> Log:
    log = farzi.load_log(csv)
    assert isinstance(log, Log)
    return log


def distil(log: Log, folder: Path, device: str = "cpu") -> farzi.Summary:
    return farzi.distill(log, RECIPE, out=folder / "run", device=device, progress=farzi.progress.Progress())


def main(csv: str, to: str, device: str = "cpu") -> None:
    log, folder = load(csv), Path(to)
    facts: dict[str, Any] = checks(log) if device == "cpu" else {}
    summary = distil(log, folder, device)
    facts["latents"] = summary.tensors.latents.tolist()
    facts["left alone"] = not torch.distributed.is_initialized() and current().link is None
    (folder / f"facts {os.environ['RANK']}.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
