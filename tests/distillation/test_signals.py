"""Processes that are told to stop, or killed, in the middle of a run."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from farzi.data import load_data
from farzi.distillation import distill
from farzi.distillation.checkpoint import load_checkpoint
from farzi.recipe import Recipe
from farzi.recipe import variants as v

PATIENCE = 120.0
"""Seconds after which a process that should have got somewhere is given up."""

RUN = """
import sys
from farzi.distillation import distill
from farzi.recipe import load_recipe
distill(load_recipe(sys.argv[1]), sys.argv[2], checkpoint_seconds=float(sys.argv[3]))
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
    data = v.LogData(source=str(tmp_path / "log.csv"), unseen="keep")
    return recipe.changed({"data": data, "outer.steps": 100_000, "select.every": 1000})


def wait_for_step(out: Path, step: int, process: "subprocess.Popen[str]") -> None:
    """Until the checkpoint is of that step or a later one."""
    until = time.monotonic() + PATIENCE
    while (saved := load_checkpoint(out)) is None or saved["loop"]["step"] < step:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, marks=pytest.mark.long),  # the terminal was closed
    ],
)
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
    saved = load_checkpoint(out)
    assert saved is not None
    step = saved["loop"]["step"]
    assert last == f"farzi: stopped after outer step {step}; the same command resumes there"
    assert step >= 1
    assert "Traceback" not in errors
    assert not (out / "summary.safetensors").exists()


@pytest.mark.parametrize("there", [False, True], ids=["new folder", "folder with a run"])
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_signal_before_the_first_step_ends_at_once_and_leaves_all_as_it_was(
    start: Initializer, long_recipe: Recipe, tmp_path: Path, number: signal.Signals, there: bool
):
    endless = long_recipe.changed({"teach.max_steps": 10**9, "teach.patience": 10**9})
    endless.save(tmp_path / "recipe.yaml")
    out = tmp_path / "out"
    if there:
        out.mkdir()
        (out / "checkpoint.safetensors").write_text("an earlier run's")
    process = start(COMMAND, "distill", "--recipe", tmp_path / "recipe.yaml", "--out", out, "--restart")
    assert process.stderr is not None
    assert "teach: training 1 model on the full data\n" in iter(process.stderr.readline, "")
    process.send_signal(number)
    output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output) == (130, "")
    assert errors.splitlines()[-1] == (
        "farzi: stopped before the first outer step; nothing was saved, the same command starts again"
    )
    assert "Traceback" not in errors
    assert [path.read_text() for path in out.glob("*")] == ["an earlier run's"] * there
    assert out.exists() is there


@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.long)])
def test_a_run_killed_at_any_moment_ends_like_an_uninterrupted_one(
    start: Initializer, long_recipe: Recipe, tmp_path: Path, kills: int
):
    recipe = long_recipe.changed({"outer.steps": 40, "select.every": 7})
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
    distill(recipe, tmp_path / "whole", dataset=load_data(recipe.data))
    for name in ("summary.safetensors", "history.jsonl"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert {path.name for path in out.iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}
