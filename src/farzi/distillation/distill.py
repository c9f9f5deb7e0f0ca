"""`distill`: the four stages in a row, from a recipe to a summary's folder, resumable at any moment."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from farzi.data import Data, load_data
from farzi.data.account import reading_lines
from farzi.data.fingerprint import fingerprint
from farzi.distillation.checkpoint import (
    load_checkpoint,
    refuse_another,
    remove_checkpoint,
    save_checkpoint,
)
from farzi.distillation.run import Run
from farzi.distillation.size import Target, like, sized
from farzi.distillation.teach import Cache, full_trainings
from farzi.errors import FarziError, out_of_memory
from farzi.files import locked, place, write_text_atomic
from farzi.processes import Processes, current, joined
from farzi.progress import Progress
from farzi.provenance import environment
from farzi.recipe import Recipe, parse_recipe
from farzi.summary import CHECKPOINT, TENSORS, Summary, check_folder, history_text
from farzi.surroundings import undisturbed
from farzi.tracking import journal, make_trackers, tracked
from farzi.tracking.trackers import ReportTo

CACHE = "trainings"
"""Where a run's folder keeps full-data trainings until its first checkpoint."""


@joined()
def distill(
    recipe: Recipe,
    out: str | Path,
    *,
    dataset: Data | None = None,
    size: Target | None = None,
    restart: bool = False,
    unchecked: bool = False,
    progress: Progress | None = None,
    cache: Cache | None = None,
    device: torch.device | str = "cpu",
    checkpoint_seconds: float = 30.0,
    report_to: ReportTo = None,
) -> Summary:
    """Distil a log or text into a summary, and write its folder.

    Several processes that call it together (`torchrun`) share the work: docs/processes.md.

    The state is saved every `checkpoint_seconds`, and when the run is interrupted. The same call then resumes
    it and ends with the very same summary and history as an uninterrupted run, given the same machine and
    threads (with `outer.minutes` only nearly so, since the clock then decides how many steps are taken).

    Args:
        recipe: the whole run.
        out: the summary's folder, created if necessary.
        dataset: the log or text, if it is loaded already; else `recipe.data` is loaded.
        size: decides the number of sequences (`sized`). A run that is resumed keeps its own.
        restart: start from the beginning even if `out` holds a run or a summary, which is then lost.
        unchecked: start even if the metagradient is not precise enough (bfloat16, TF32), with a warning.
        progress: receives reports.
        cache: of full-data trainings; if None, `out` holds one until the run's first checkpoint.
        device: where everything is computed; a run may resume on another one.
        checkpoint_seconds: between two saves of the state.
        report_to: trackers of the figures: "tensorboard", "mlflow", "wandb", "csv", objects with a method
            `log(values, step)`, or several of them.

    Returns:
        The summary in the folder, on the CPU; one that was finished before is returned as it is.

    Raises:
        FarziError: parts of the recipe do not fit each other, the data cannot be used, the first metagradient
            is not precise enough, `out` holds a run of another recipe or other data or what Farzi did not
            write, a tracker is unknown or its package missing, another process is at work there, one of its
            files is damaged, or the metagradient stays without a finite value.
        KeyboardInterrupt: the run was interrupted; its text says what is saved. Before the first outer step
            that is the finished full-data trainings.
        OSError: the disk is full or `out` cannot be written; the state saved before is still there.
    """
    out, processes = place(out), current()
    device = processes.device(device)
    progress = progress if progress is not None and processes.first else Progress()
    trackers = make_trackers(report_to if processes.first else None, out, recipe.model_dump(mode="json"))
    dataset = dataset or load_data(recipe.data)
    _agree(processes, recipe, dataset)
    if size is not None:
        there = None if restart else out
        recipe = processes.once(partial(_sized, recipe, dataset, size, there, progress, device))
    if not restart:
        finished = processes.once(partial(_finished, out, recipe, dataset, progress))
        if finished is not None:
            with suppress(OSError, FarziError), locked(out):  # removes what a kill in the last moment left
                return finished
            return finished
    created = processes.first and not out.exists()
    try:
        with ExitStack() as held:
            if processes.first:
                check_folder(out)
                out.mkdir(parents=True, exist_ok=True)  # before the long training, in case it cannot be
                held.enter_context(locked(out))
                progress = held.enter_context(tracked(progress, trackers))
                progress = held.enter_context(journal(out, progress))
            settings = (size, restart, unchecked, progress, cache, device, checkpoint_seconds)
            return _distill(out, recipe, dataset, *settings)
    except BaseException as error:
        if created and out_of_memory(error):
            Cache(out / CACHE).remove()
        raise
    finally:
        if created:
            with suppress(OSError):
                out.rmdir()  # if nothing was stored in it


def _agree(processes: Processes, recipe: Recipe, dataset: Data) -> None:
    """Raise FarziError where a process has another recipe, other data or another program than the first."""
    if processes.size == 1:
        return
    facts = {"recipe": recipe.to_yaml(), "data": fingerprint(dataset)}
    facts |= {name: value for name, value in environment().items() if name in ("farzi", "commit", "torch")}
    first, *others = processes.gather(facts)
    for rank, there in enumerate(others, 1):
        if differing := [name for name in facts if there[name] != first[name]]:
            raise FarziError(
                f"process {rank} of {processes.size} has another {differing[0]} than process 0; all must be "
                "started with the same command, files and packages"
            )


def _sized(
    recipe: Recipe,
    dataset: Data,
    size: Target,
    out: Path | None,
    progress: Progress,
    device: torch.device | str,
) -> Recipe:
    """The recipe with a wanted size. What `out` holds for these seconds of a training is not timed again."""
    if out is not None and size.name == "training_seconds":
        with suppress(KeyError, TypeError):  # a damaged checkpoint, which is refused later
            if (saved := load_checkpoint(out)) is not None:
                there, stages = parse_recipe(saved["recipe"], str(out)), saved["stages"]
            elif (out / TENSORS).exists():
                finished = Summary.load(out)
                there, stages = finished.recipe, finished.run["stages"]
            else:
                there, stages = recipe, {"initialise": {}}
            if stages["initialise"].get(size.name) == size.number:
                return like(recipe, there)
    recipe, line = sized(recipe, dataset, size, device)
    progress.message(line)
    return recipe


def _finished(out: Path, recipe: Recipe, dataset: Data, progress: Progress) -> Summary | None:
    """The summary in a folder; None where there is a checkpoint: a summary beside it is an earlier run's."""
    if (out / CHECKPOINT).exists() or not (out / TENSORS).exists():
        return None
    finished = Summary.load(out)
    refuse_another(finished.recipe, recipe, finished.run.get("data_sha256"), dataset, out, "the summary")
    progress.message(f"{out} holds this summary already; restart=True distils it again")
    return finished


@undisturbed()  # inside the lock of the folder: a second run there is refused at once
def _distill(
    out: Path,
    recipe: Recipe,
    dataset: Data,
    size: Target | None,
    restart: bool,
    unchecked: bool,
    progress: Progress,
    cache: Cache | None,
    device: torch.device | str,
    checkpoint_seconds: float,
) -> Summary:
    """`distill` in a folder that this process has locked."""
    processes = current()
    saved = processes.once(lambda: None if restart else load_checkpoint(out, device))
    if saved is not None:
        run = Run.resume(saved, recipe, dataset, progress, out)
        progress.message(f"resuming {out} after outer step {run.loop.step}")
    elif not restart and (finished := processes.once(lambda: _finished(out, recipe, dataset, progress))):
        return finished
    else:
        if "reading" in dataset.facts:
            for line in reading_lines(dataset.facts):
                progress.message(line)
            for line in dataset.facts["warnings"]:
                progress.warning(line)
        run = _begin(out, recipe, dataset, cache or Cache(out / CACHE), progress, unchecked, device)
    with stop_event() as stop:
        if saved is None:
            if size is not None:
                run.stages["initialise"][size.name] = size.given if size.share else size.number
            save(run, out)
            if processes.first:
                Summary.remove(out)
        processes.once(Cache(out / CACHE).remove)
        Cache(out / CACHE).remove()  # on other machines
        again = "the same call, without restart=True," if restart else "the same call"
        take_outer_steps(run, out, stop, checkpoint_seconds, again)
    summary = run.finish()
    if processes.first:
        summary.save(out)
        remove_checkpoint(out)
    return summary


def save(run: Run, out: Path) -> None:
    """Write the state of a run, which all processes hold together."""
    state = run.state_dict()
    if current().first:
        save_checkpoint(state, out)


def take_outer_steps(
    run: Run, out: Path, stop: threading.Event, checkpoint_seconds: float, again: str = "the same call"
) -> None:
    """The outer loop to its end; the state is saved in `out` meanwhile, and when `stop` is set.

    Raises:
        KeyboardInterrupt: `stop` was set; the text says that `again` resumes.
        FarziError: the processes that share the work have come to different summaries.
    """
    processes, last_save = current(), time.monotonic()
    while not run.done:
        run.advance()
        if run.validation_due:
            run.validate()
            if processes.first:
                write_text_atomic(out / "history.jsonl", history_text(run.history))
        due = time.monotonic() - last_save > checkpoint_seconds
        states = processes.gather((stop.is_set(), due, run.norms[-1]))
        if len({repr(norm) for _, _, norm in states}) > 1:
            raise FarziError(
                f"the processes have come to different summaries in outer step {run.loop.step}; run them on "
                "machines of one kind. The same command goes on from what is saved"
            )
        stopped = any(stopping for stopping, *_ in states)
        if stopped or states[0][1]:
            save(run, out)
            last_save = time.monotonic()
        if stopped:
            raise KeyboardInterrupt(f"stopped after outer step {run.loop.step}; {again} resumes there")


def _begin(out: Path, recipe: Recipe, dataset: Data, cache: Cache, *settings: Any) -> Run:
    """A new run. Until there is one the first Ctrl-C, SIGTERM or SIGHUP ends it; finished trainings stay."""

    def interrupt(number: int, frame: Any) -> None:
        if current().size > 1:  # `torchrun` passes on what came from the terminal already
            for one in _stops():
                signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    try:
        with _signals(interrupt):
            return Run.begin(recipe, dataset, cache, *settings)
    except KeyboardInterrupt:
        trainings = full_trainings(recipe)
        saved = "nothing was saved, the same call starts again"
        present, begun = cache.present(trainings, dataset), cache.begun(trainings, dataset)
        if present or begun:
            done = f"{present} of {len(trainings)} full-data trainings{' and a part of one' if begun else ''}"
            saved = f"{done} are saved, the same call resumes there"
        raise KeyboardInterrupt(f"stopped before the first outer step; {saved}") from None


@contextmanager
def stop_event() -> Iterator[threading.Event]:
    """The first Ctrl-C, SIGTERM or SIGHUP sets an event: no step is cut in two. A second one is final.

    Among several processes a second one is that of `torchrun`, which passes the first one on.
    """
    stop, processes = threading.Event(), current()

    def request(number: int, frame: Any) -> None:
        processes.hurry()
        if stop.is_set() and processes.size == 1:
            raise KeyboardInterrupt
        stop.set()

    with _signals(request):
        yield stop


def _stops() -> list[signal.Signals]:
    """The signals that stop a run: Ctrl-C, SIGTERM, the end of a terminal. Under `nohup` that is ignored."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return numbers


@contextmanager
def _signals(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP go to `handler`. Only the main thread gets signals; elsewhere all stays."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in _stops()}
    try:
        yield
    finally:
        for number, old in before.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, signal.SIG_DFL if old is None else old)
