"""A run that was stopped ends as one that was not, bit for bit."""

import errno
import itertools
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from farzi import states
from farzi.data import Log
from farzi.distillation import Progress, StepReport, checkpoint, distill
from farzi.distillation.checkpoint import load_checkpoint, save_checkpoint
from farzi.errors import FarziError
from farzi.recipe import Recipe


class At(Progress):
    """Does something after given outer steps, each time once."""

    def __init__(self, steps: set[int], action: Callable[[], Any]) -> None:
        self.steps, self.action, self.messages = set(steps), action, []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def step(self, number: int, fraction: float, seconds: float, report: StepReport) -> None:
        if number in self.steps:
            self.steps.remove(number)
            self.action()


def ctrl_c(step: int, number: signal.Signals = signal.SIGINT) -> At:
    return At({step}, lambda: signal.raise_signal(number))


def outcome(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("summary.safetensors", "history.jsonl")}


@pytest.fixture(scope="module")
def whole(tiny: Log, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The outcome of an uninterrupted run."""
    out = tmp_path_factory.mktemp("whole")
    distill(recipe, out, dataset=tiny)
    return outcome(out)


WEIGHTS = {"fresh": "fresh", "mixed": {"type": "pretrained", "share": 0.5}}


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("pool", [0, 3])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_stopped_run_ends_like_an_uninterrupted_one(
    tiny: Log, recipe: Recipe, tmp_path: Path, weights: str, pool: int, replicas: int
):
    changes = {"outer.weights": WEIGHTS[weights], "outer.pool": pool, "outer.replicas": replicas}
    recipe = recipe.changed(changes)
    distill(recipe, tmp_path / "whole", dataset=tiny)
    out = tmp_path / "cut"
    for step in (1, 6, 7):  # between two validations, right after one, before the last
        line = f"^stopped after outer step {step}; the same call resumes there$"
        with pytest.raises(KeyboardInterrupt, match=line):
            distill(recipe, out, dataset=tiny, progress=ctrl_c(step))
    progress = At(set(), lambda: None)
    distill(recipe, out, dataset=tiny, progress=progress)
    assert progress.messages == [f"resuming {out} after outer step 7"]
    assert outcome(out) == outcome(tmp_path / "whole")
    assert {path.name for path in out.iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}


@pytest.mark.parametrize("pool", [0, 3])
@pytest.mark.parametrize("soft_inputs", ["materialized", "factored"])
def test_a_stopped_run_continues_its_batches(
    tiny: Log, recipe: Recipe, tmp_path: Path, soft_inputs: str, pool: int
):
    """Steps that read some sequences only continue in the orders in which they began."""
    recipe = recipe.changed({"inner.batch": 4, "inner.soft_inputs": soft_inputs, "outer.pool": pool})
    distill(recipe, tmp_path / "whole", dataset=tiny)
    for step in (1, 6, 7):
        with pytest.raises(KeyboardInterrupt, match=f"^stopped after outer step {step}"):
            distill(recipe, tmp_path / "cut", dataset=tiny, progress=ctrl_c(step))
    distill(recipe, tmp_path / "cut", dataset=tiny)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_a_stopped_run_resumes_without_its_teachers(tiny: Log, recipe: Recipe, tmp_path: Path):
    labels = {"summary.parametrization.label_decoder": True, "init": {"type": "teacher", "teachers": 1}}
    recipe = recipe.changed({"inner.batch": 4, **labels})
    distill(recipe, tmp_path / "whole", dataset=tiny)
    for step in (1, 6):
        with pytest.raises(KeyboardInterrupt, match=f"^stopped after outer step {step}"):
            distill(recipe, tmp_path / "cut", dataset=tiny, progress=ctrl_c(step))
    found = distill(recipe, tmp_path / "cut", dataset=tiny).tensors
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")
    assert found.label_decoder is not None
    assert not torch.equal(found.label_decoder, found.decoder)


def test_a_stopped_run_keeps_the_teachers_that_its_outer_loop_reads(
    tiny: Log, recipe: Recipe, tmp_path: Path
):
    teach = {"teach.model": {"type": "sasrec", "hidden": 10}, "teach.length": 9}
    init = {"summary.parametrization.label_decoder": True, "init": {"type": "teacher", "teachers": 2}}
    recipe = recipe.changed({"outer.objective": {"type": "teacher_loss"}, **teach, **init})
    distill(recipe, tmp_path / "whole", dataset=tiny)
    for step in (1, 6):
        with pytest.raises(KeyboardInterrupt, match=f"^stopped after outer step {step}"):
            distill(recipe, tmp_path / "cut", dataset=tiny, progress=ctrl_c(step))
    distill(recipe, tmp_path / "cut", dataset=tiny)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_two_runs_of_a_recipe_are_the_same(
    tiny: Log, recipe: Recipe, tmp_path: Path, whole: dict[str, bytes]
):
    distill(recipe, tmp_path / "again", dataset=tiny, checkpoint_seconds=0)
    assert outcome(tmp_path / "again") == whole
    distill(recipe.changed({"seed": 1}), tmp_path / "seed", dataset=tiny)
    assert outcome(tmp_path / "seed") != whole


def test_stopping_after_the_last_step_loses_nothing(
    tiny: Log, recipe: Recipe, tmp_path: Path, whole: dict[str, bytes]
):
    with pytest.raises(KeyboardInterrupt):
        distill(recipe, tmp_path / "cut", dataset=tiny, progress=ctrl_c(8))
    distill(recipe, tmp_path / "cut", dataset=tiny)
    assert outcome(tmp_path / "cut") == whole


def test_a_second_ctrl_c_is_final_and_resumes_from_the_state_saved_before(
    tiny: Log, recipe: Recipe, tmp_path: Path, whole: dict[str, bytes]
):
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        distill(recipe, tmp_path / "cut", dataset=tiny, progress=At({5}, twice))
    saved = load_checkpoint(tmp_path / "cut")
    assert saved is not None
    assert saved["loop"]["step"] == 0
    distill(recipe, tmp_path / "cut", dataset=tiny)
    assert outcome(tmp_path / "cut") == whole


STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", STOPS)
def test_signal_handlers_are_put_back(tiny: Log, recipe: Recipe, tmp_path: Path, number: signal.Signals):
    ours = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
    try:
        before = [signal.getsignal(number) for number in STOPS]
        with pytest.raises(KeyboardInterrupt, match="stopped after outer step 1"):
            distill(recipe, tmp_path / "cut", dataset=tiny, progress=ctrl_c(1, number))
        assert [signal.getsignal(number) for number in STOPS] == before
    finally:
        signal.signal(signal.SIGHUP, ours)


def test_a_run_under_nohup_outlives_its_terminal(
    tiny: Log, recipe: Recipe, tmp_path: Path, whole: dict[str, bytes]
):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        distill(recipe, tmp_path / "nohup", dataset=tiny, progress=ctrl_c(1, signal.SIGHUP))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert outcome(tmp_path / "nohup") == whole


def test_it_runs_outside_the_main_thread(tiny: Log, recipe: Recipe, tmp_path: Path, whole: dict[str, bytes]):
    thread = threading.Thread(target=distill, args=(recipe, tmp_path / "thread"), kwargs={"dataset": tiny})
    thread.start()
    thread.join()
    assert outcome(tmp_path / "thread") == whole


def test_a_clock_that_is_set_back_changes_nothing(
    tiny: Log, recipe: Recipe, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
):
    falling = itertools.count(2e9, -1e6)
    monkeypatch.setattr(time, "time", lambda: next(falling))
    begun = time.perf_counter()
    summary = distill(recipe, tmp_path, dataset=tiny, checkpoint_seconds=0)
    assert outcome(tmp_path) == whole
    assert 0 < summary.run["seconds"] <= time.perf_counter() - begun + 0.1  # it is rounded


def test_a_full_disk_costs_the_steps_since_the_last_checkpoint_only(
    tiny: Log, recipe: Recipe, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
):
    saves, write = [], states.write_tensors

    def until_full(path: Path, *rest: Any) -> None:
        if path.name == checkpoint.NAME:  # and no training's file
            saves.append(path)
        if len(saves) == 7:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, *rest)

    monkeypatch.setattr(states, "write_tensors", until_full)
    with pytest.raises(OSError, match="No space left on device"):
        distill(recipe, tmp_path / "cut", dataset=tiny, checkpoint_seconds=0)
    saved = load_checkpoint(tmp_path / "cut")
    assert saved is not None
    assert saved["loop"]["step"] == 5  # the first was that of step 0
    distill(recipe, tmp_path / "cut", dataset=tiny)
    assert outcome(tmp_path / "cut") == whole


def test_a_disk_that_is_full_at_the_end_loses_nothing(
    tiny: Log, recipe: Recipe, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
):
    from farzi.summary import summary as storage

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_tensors", full)
        with pytest.raises(OSError, match="No space left on device"):
            distill(recipe, tmp_path / "cut", dataset=tiny, checkpoint_seconds=0)
    distill(recipe, tmp_path / "cut", dataset=tiny)
    assert outcome(tmp_path / "cut") == whole


def test_leftovers_of_a_killed_write_are_removed(tiny: Log, recipe: Recipe, tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        distill(recipe, tmp_path, dataset=tiny, progress=ctrl_c(1))
    (tmp_path / ".checkpoint.safetensors.0123abcd.farzi-tmp").write_bytes(b"half")
    distill(recipe, tmp_path, dataset=tiny)
    assert not list(tmp_path.glob(".*"))


def test_the_clock_of_a_resumed_run_continues(tiny: Log, recipe: Recipe, tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        distill(recipe, tmp_path, dataset=tiny, progress=ctrl_c(3))
    saved = load_checkpoint(tmp_path)
    assert saved is not None
    save_checkpoint(saved | {"seconds": 1000.0}, tmp_path)
    assert 1000 < distill(recipe, tmp_path, dataset=tiny).run["seconds"] < 1100


def refusal(recipe: Recipe, out: Path, dataset: Log) -> str:
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(FarziError) as caught:
        distill(recipe, out, dataset=dataset)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("finished", [False, True])
def test_a_folder_of_another_recipe_or_log_is_refused(
    tiny: Log, other: Log, recipe: Recipe, tmp_path: Path, finished: bool
):
    if finished:
        distill(recipe, tmp_path, dataset=tiny)
    else:
        with pytest.raises(KeyboardInterrupt):
            distill(recipe, tmp_path, dataset=tiny, progress=ctrl_c(1))
    changed = recipe.changed({"outer.batch": 17, "outer.pool": 5})
    line = refusal(changed, tmp_path, tiny)
    assert (
        "another recipe (outer.batch: 16 -> 17; outer.pool: 3 -> 5); choose another folder, or restart=True"
        in line
    )
    shape = {"summary.length": 6, "summary.parametrization.dim": 3, "student.hidden": 4}
    many = changed.changed(shape)
    assert "and 2 more)" in refusal(many, tmp_path, tiny)
    assert "other data than movielens-small is now" in refusal(recipe, tmp_path, other)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-3], lambda data: b"", lambda data: data[:-9] + b"x" + data[-8:]]
)
def test_a_damaged_checkpoint_is_refused(
    tiny: Log, recipe: Recipe, tmp_path: Path, damage: Callable[[bytes], bytes], whole: dict[str, bytes]
):
    out = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        distill(recipe, out, dataset=tiny, progress=ctrl_c(2))
    path = out / "checkpoint.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    line = refusal(recipe, out, tiny)
    assert line.startswith(f"{path}: damaged")
    assert line.endswith("restart=True starts the run again")
    distill(recipe, out, dataset=tiny, restart=True)
    assert outcome(out) == whole


def test_a_finished_summary_is_returned_as_it_is(tiny: Log, recipe: Recipe, tmp_path: Path):
    first = distill(recipe, tmp_path, dataset=tiny)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    progress = At(set(), lambda: None)
    again = distill(recipe, tmp_path, dataset=tiny, progress=progress)
    assert progress.messages == [f"{tmp_path} holds this summary already; restart=True distils it again"]
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert (again.recipe, again.history, again.run) == (first.recipe, first.history, first.run)
    assert (again.tensors.latents == first.tensors.latents).all()


def test_a_damaged_summary_is_refused_not_replaced(tiny: Log, recipe: Recipe, tmp_path: Path):
    distill(recipe, tmp_path, dataset=tiny)
    (tmp_path / "run.json").unlink()
    assert "run.json: no such file" in refusal(recipe, tmp_path, tiny)


def test_restart_removes_what_was_there(tiny: Log, recipe: Recipe, tmp_path: Path):
    changed = recipe.changed({"outer.batch": 8})
    distill(changed, tmp_path / "expected", dataset=tiny)
    out = tmp_path / "out"
    distill(recipe, out, dataset=tiny)
    (out / "results.json").write_text("[]")
    with pytest.raises(KeyboardInterrupt, match="the same call, without restart=True, resumes there"):
        distill(changed, out, dataset=tiny, restart=True, progress=ctrl_c(5))
    assert not (out / "summary.safetensors").exists()
    assert not (out / "results.json").exists()
    distill(changed, out, dataset=tiny)
    assert outcome(out) == outcome(tmp_path / "expected")


def test_restart_over_an_unfinished_run(tiny: Log, recipe: Recipe, tmp_path: Path, whole: dict[str, bytes]):
    with pytest.raises(KeyboardInterrupt):
        distill(recipe.changed({"outer.batch": 8}), tmp_path / "cut", dataset=tiny, progress=ctrl_c(5))
    distill(recipe, tmp_path / "cut", dataset=tiny, restart=True)
    assert outcome(tmp_path / "cut") == whole
