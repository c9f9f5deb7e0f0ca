"""Several processes share the work of a run, and end with the bits of one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from farzi import processes as module
from farzi.cli.app import divide_work
from farzi.errors import FarziError
from farzi.launch import VARIABLES

from . import together

SCRIPT = Path(__file__).with_name("together.py")
FILES = ("summary.safetensors", "history.jsonl")


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 users who walk around a ring of 40 items, with jumps."""
    path, rng = tmp_path_factory.mktemp("log") / "log.csv", np.random.default_rng(0)
    rows = ["user,item,time"]
    for user in range(60):
        at = int(rng.integers(40))
        for moment in range(int(rng.integers(8, 20))):
            rows.append(f"u{user},i{at},{moment}")
            at = (at + (1 if rng.random() < 0.85 else int(rng.integers(40)))) % 40
    path.write_text("\n".join(rows) + "\n")
    return path


def torchrun(count: int, *words: str, restarts: int = 0) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*launcher, f"--nproc-per-node={count}", f"--max-restarts={restarts}", *words]


def run(count: int, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = torchrun(count, *words)
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ, timeout=300)


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def one(csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in one process."""
    folder = tmp_path_factory.mktemp("one")
    together.distil(together.load(str(csv)), folder)
    return folder / "run"


@pytest.fixture(scope="module")
def two(csv: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """The folder of a run in two processes, and what they found out."""
    folder = tmp_path_factory.mktemp("two")
    done = run(2, str(SCRIPT), str(csv), str(folder))
    assert done.returncode == 0, done.stderr
    return folder / "run", [json.loads((folder / f"facts {rank}.json").read_text()) for rank in range(2)]


@pytest.mark.long
def test_two_processes_end_with_the_bits_of_one(one: Path, two: tuple[Path, list[dict[str, Any]]]):
    """Teachers, replicas and students of validations are shared."""
    folder, facts = two
    assert contents(folder) == contents(one)
    assert facts[0]["latents"] == facts[1]["latents"]
    assert all(fact["left alone"] for fact in facts)
    assert not (folder / "checkpoint.safetensors").exists()
    assert not (folder / "trainings").exists()


@pytest.mark.long
def test_each_item_is_computed_once_and_reaches_all_as_it_was(two: tuple[Path, list[dict[str, Any]]]):
    first, second = two[1]
    assert (first["called"], second["called"]) == ([0, 2, 4], [1, 3])
    assert first["same"] == second["same"] == [True] * 5
    assert first["to first"] == [True] * 5
    assert second["to first"] == [False, True, False, True, False]
    assert first["once"] == second["once"] == 0
    assert first["gather"] == second["gather"] == [10, 11]
    assert first["joined inside"]


@pytest.mark.long
def test_a_process_holds_its_own_inner_runs_alone(two: tuple[Path, list[dict[str, Any]]]):
    assert [fact["runs"] for fact in two[1]] == [[True, False, True], [False, True, False]]


@pytest.mark.long
def test_an_error_in_one_process_is_that_of_all(two: tuple[Path, list[dict[str, Any]]]):
    for fact in two[1]:
        assert fact["error"] == ["FarziError", "log.csv, line 3: no item"]
        name, text = fact["own error"]
        assert name == ("RuntimeError" if fact["rank"] == 0 else "OwnError")
        assert "what" in text
    assert two[1][0]["two errors"] == ["OSError", "[Errno 28] No space"]
    assert two[1][1]["two errors"] == ["FarziError", "second"]


def test_without_a_launcher_nothing_is_joined():
    with module.joined() as processes:
        assert processes is module.ALONE
        assert processes.map(lambda item: item + 1, [1, 2]) == [2, 3]
        assert processes.own(3) == range(3)
        assert processes.device("cuda") == torch.device("cuda")


class Store:
    """In place of the other processes' store: process 1 counts up until a moment, and then no more."""

    def __init__(self, until: float, failed: str = "") -> None:
        self.until, self.failed, self.now = until, failed, 0.0

    def monotonic(self) -> float:
        self.now += 1
        return self.now

    def add(self, name: str, count: int) -> int:
        return 1

    def check(self, names: list[str]) -> bool:
        return names == ["alive 1"] or (names == ["failed"] and bool(self.failed))

    def get(self, name: str) -> bytes:
        return self.failed.encode() if name == "failed" else str(min(self.now, self.until)).encode()


def waiting(monkeypatch: pytest.MonkeyPatch, store: Store) -> module.Link:
    link = object.__new__(module.Link)
    link.rank, link.size, link.patience = 0, 2, 60.0
    vars(link).update(_round=0, _store=store)
    monkeypatch.setattr(time, "monotonic", store.monotonic)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return link


def test_a_process_that_gives_no_sign_is_dead(monkeypatch: pytest.MonkeyPatch):
    store = Store(until=5000.0)
    with pytest.raises(FarziError, match=r"process 1 gave no sign for 60 s"):
        waiting(monkeypatch, store).arrive()
    assert 5060 < store.now < 5080  # an hour and more of work is no silence


def test_a_process_that_was_asked_to_stop_waits_for_no_dead_one(monkeypatch: pytest.MonkeyPatch):
    store = Store(until=5000.0)
    link = waiting(monkeypatch, store)
    module.Processes(0, 2, link).hurry()
    with pytest.raises(FarziError, match=r"no sign for 5 s"):
        link.arrive()
    assert store.now < 5025


def test_the_reason_of_another_process_is_told(monkeypatch: pytest.MonkeyPatch):
    link = waiting(monkeypatch, Store(1e9, "process 1 of 2: log.csv: no such file"))
    with pytest.raises(FarziError, match=r"^process 1 of 2: log.csv: no such file$"):
        link.arrive()


def test_what_cannot_be_shared_is_done_by_the_first_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for name, value in zip(VARIABLES, ("0", "2", "localhost", "1")):
        monkeypatch.setenv(name, value)
    divide_work(["distill", "log.csv"])
    assert os.environ["WORLD_SIZE"] == "2"
    divide_work(["recommend", "model"])
    assert "WORLD_SIZE" not in os.environ
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("words", [["data", "list"], ["--help"]])
def test_the_other_processes_are_silent(words: list[str]):
    environ = {**os.environ, **dict(zip(VARIABLES, ("1", "2", "localhost", "1")))}
    done = subprocess.run(
        [sys.executable, "-m", "farzi", *words], capture_output=True, text=True, check=False, env=environ
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Minutes


@pytest.mark.long
def test_four_processes_end_with_the_bits_of_one(csv: Path, one: Path, tmp_path: Path):
    done = run(4, str(SCRIPT), str(csv), str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "run") == contents(one)


@pytest.fixture
def recipe_file(tmp_path: Path) -> str:
    recipe = together.RECIPE.changed({"outer.steps": 400, "outer.probe": None, "select.every": 200})
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    return str(tmp_path / "recipe.yaml")


def at_work(folder: Path, steps: int) -> Callable[[], bool]:
    """Whether a run has taken so many outer steps."""

    def reached() -> bool:
        path = folder / ".farzi-progress"
        lines = path.read_text().splitlines() if path.exists() else []
        return sum('"kind": "step"' in line for line in lines) >= steps

    return reached


def process_of(folder: Path, rank: int) -> int:
    """The process of a rank that works on a folder."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words, environ = (place / "cmdline").read_bytes(), (place / "environ").read_bytes()
        except OSError:
            continue
        here = f"\0{folder}\0".encode() in words and f"\0RANK={rank}\0".encode() in environ
        if here and b"torch.distributed.run" not in words:
            return int(place.name)
    raise AssertionError(f"no process {rank} of {folder}")


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_is_started_again_and_the_run_ends_the_same(
    csv: Path, tmp_path: Path, recipe_file: str, rank: int
):
    words = ["-m", "farzi", "distill", str(csv), "--recipe", recipe_file, "--out"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert subprocess.run([sys.executable, *words, str(whole)], check=False).returncode == 0
    with subprocess.Popen(
        torchrun(2, *words, str(cut), restarts=1), stderr=subprocess.PIPE, text=True
    ) as work:
        reached = at_work(cut, 20)
        while not reached():
            assert work.poll() is None
            time.sleep(0.1)
        os.kill(process_of(cut, rank), signal.SIGKILL)
        errors = work.communicate()[1]
    assert work.returncode == 0, errors
    assert errors.count(f"resuming {cut}") == 1
    assert contents(cut) == contents(whole)


@pytest.mark.long
def test_a_wrong_file_is_one_line(tmp_path: Path):
    done = run(2, "-m", "farzi", "distill", str(tmp_path / "no.csv"), "--out", str(tmp_path / "out"))
    assert done.returncode != 0
    assert done.stderr.count("farzi: ") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="NCCL needs two GPUs")
def test_two_cards_end_with_the_bits_of_one(csv: Path, tmp_path: Path):
    together.distil(together.load(str(csv)), tmp_path / "one", "cuda")
    done = run(2, str(SCRIPT), str(csv), str(tmp_path), "cuda")
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "run") == contents(tmp_path / "one" / "run")
