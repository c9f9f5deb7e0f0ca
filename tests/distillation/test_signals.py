"""Processes that are told to stop, or killed, in the middle of a run."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from farzi.data import load_dataset
from farzi.distillation import distill
from farzi.distillation.checkpoint import Checkpoint
from farzi.recipe import DataSettings, Recipe

PATIENCE = 120.0
"""Seconds after which a process that should have got somewhere is given up."""

RUN = """
import sys
from farzi.distillation import distill, reference
from farzi.recipe import load_recipe
from farzi.training import EventTraining
reference.EventTraining = lambda: EventTraining(steps=10, every=5)  # as _short_reference does it
distill(load_recipe(sys.argv[1]), sys.argv[2], checkpoint_seconds=float(sys.argv[3]))
"""
ENDLESS = """
from farzi.cli import main
from farzi.distillation import reference
from farzi.training import EventTraining
reference.EventTraining = lambda: EventTraining(steps=10**9, patience=10**9)
main()
"""
COMMAND = "from farzi.cli import main; main()"

Initializer = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Initializer]:
    """Starts Python processes; none outlives the test."""
    processes: list[subprocess.Popen[str]] = []

    def begin(code: str, *arguments: object) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", code, *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def long_recipe(recipe: Recipe, tmp_path: Path) -> Recipe:
    """Many steps on a log in a file."""
    rng = np.random.default_rng(0)
    lines = ["user,item,time"]
    for user in range(40):
        begin = int(rng.integers(30))
        lines += [f"u{user},i{(begin + k) % 30},{k}" for k in range(int(rng.integers(5, 12)))]
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    data = DataSettings(source=str(tmp_path / "log.csv"), unseen="keep")
    outer = recipe.outer.model_copy(update={"steps": 100_000, "validate_every": 1000})
    return recipe.model_copy(update={"data": data, "outer": outer})


def wait_for_step(out: Path, step: int, process: "subprocess.Popen[str]") -> None:
    """Until the checkpoint is of that step or a later one."""
    until = time.monotonic() + PATIENCE
    while (saved := Checkpoint.load(out)) is None or saved.values["step"] < step:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_signal_ends_the_command_with_one_line_and_a_checkpoint(
    start: Initializer, long_recipe: Recipe, tmp_path: Path, number: signal.Signals
):
    long_recipe.save(tmp_path / "recipe.yaml")
    out = tmp_path / "out"
    process = start(COMMAND, "distill", "--recipe", tmp_path / "recipe.yaml", "--out", out)
    wait_for_step(out, 0, process)
    process.send_signal(number)
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode not in (0, 1)
    assert output == ""
    last = errors.splitlines()[-1]
    saved = Checkpoint.load(out)
    assert saved is not None
    assert (
        last == f"farzi: stopped after outer step {saved.values['step']}; the same command goes on from there"
    )
    assert saved.values["step"] >= 1
    assert "Traceback" not in errors
    assert not (out / "summary.safetensors").exists()


@pytest.mark.parametrize("there", [False, True], ids=["new folder", "folder with a run"])
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_signal_before_the_first_step_ends_at_once_and_leaves_all_as_it_was(
    start: Initializer, long_recipe: Recipe, tmp_path: Path, number: signal.Signals, there: bool
):
    long_recipe.save(tmp_path / "recipe.yaml")
    out = tmp_path / "out"
    if there:
        out.mkdir()
        (out / "checkpoint.safetensors").write_text("an earlier run's")
    process = start(ENDLESS, "distill", "--recipe", tmp_path / "recipe.yaml", "--out", out, "--restart")
    assert process.stderr is not None
    assert process.stderr.readline() == "training one student on the full data, to measure against\n"
    process.send_signal(number)
    output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output) == (130, "")
    assert errors.splitlines()[-1] == (
        "farzi: stopped before the first outer step; nothing was saved, the same command begins anew"
    )
    assert "Traceback" not in errors
    assert [path.read_text() for path in out.glob("*")] == ["an earlier run's"] * there
    assert out.exists() is there


@pytest.mark.usefixtures("_short_reference")
@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.long)])
def test_a_run_killed_at_any_moment_ends_like_an_uninterrupted_one(
    start: Initializer, long_recipe: Recipe, tmp_path: Path, kills: int
):
    outer = long_recipe.outer.model_copy(update={"steps": 40, "validate_every": 7})
    recipe = long_recipe.model_copy(update={"outer": outer})
    recipe.save(tmp_path / "recipe.yaml")
    out = tmp_path / "out"
    for step in sorted(np.random.default_rng(kills).choice(np.arange(1, 30), kills, replace=False).tolist()):
        process = start(RUN, tmp_path / "recipe.yaml", out, 0.0)
        wait_for_step(out, step, process)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not (out / "summary.safetensors").exists()
    distill(recipe, out)
    distill(recipe, tmp_path / "whole", dataset=load_dataset(recipe.data))
    for name in ("summary.safetensors", "history.jsonl"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert {path.name for path in out.iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}
