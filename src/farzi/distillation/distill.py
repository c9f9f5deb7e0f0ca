"""`distill`: the four stages in a row, from a recipe to a summary's folder, resumable at any moment."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from farzi.data import Data, load_data
from farzi.data.account import reading_lines
from farzi.distillation.checkpoint import load_checkpoint, remove_checkpoint, save_checkpoint
from farzi.distillation.run import Run, refuse_another
from farzi.distillation.size import Target, like, sized
from farzi.distillation.teach import Cache, full_trainings
from farzi.errors import FarziError, out_of_memory
from farzi.files import locked, place, write_text_atomic
from farzi.progress import Progress
from farzi.recipe import Recipe, parse_recipe
from farzi.summary import CHECKPOINT, TENSORS, Summary, check_folder, history_text
from farzi.surroundings import undisturbed
from farzi.tracking import journal, make_trackers, tracked
from farzi.tracking.trackers import ReportTo

CACHE = "trainings"
"""Where a run's folder keeps full-data trainings until its first checkpoint."""


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
    out, progress = place(out), progress or Progress()
    trackers = make_trackers(report_to, out, recipe.model_dump(mode="json"))
    dataset = dataset or load_data(recipe.data)
    if size is not None:
        recipe = _sized(recipe, dataset, size, None if restart else out, progress, device)
    if not restart and (finished := _finished(out, recipe, dataset, progress)) is not None:
        with suppress(OSError, FarziError), locked(out):  # removes what a kill in the last moment left
            return finished
        return finished
    check_folder(out)
    created = not out.exists()
    out.mkdir(parents=True, exist_ok=True)  # before the long training, in case it cannot be
    try:
        with (
            locked(out),
            tracked(progress, trackers) as tracking,
            journal(out, tracking) as progress,
        ):
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
    saved = None if restart else load_checkpoint(out, device)
    if saved is not None:
        run = Run.resume(saved, recipe, dataset, progress, out)
        progress.message(f"resuming {out} after outer step {run.loop.step}")
    elif not restart and (finished := _finished(out, recipe, dataset, progress)) is not None:
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
            save_checkpoint(run.state_dict(), out)
            Summary.remove(out)
        Cache(out / CACHE).remove()
        again = "the same call, without restart=True," if restart else "the same call"
        take_outer_steps(run, out, stop, checkpoint_seconds, again)
    summary = run.finish()
    summary.save(out)
    remove_checkpoint(out)
    return summary


def take_outer_steps(
    run: Run, out: Path, stop: threading.Event, checkpoint_seconds: float, again: str = "the same call"
) -> None:
    """The outer loop to its end; the state is saved in `out` meanwhile, and when `stop` is set.

    Raises:
        KeyboardInterrupt: `stop` was set; the text says that `again` resumes.
    """
    last_save = time.monotonic()
    while not run.done:
        run.advance()
        if run.validation_due:
            run.validate()
            write_text_atomic(out / "history.jsonl", history_text(run.history))
        if stop.is_set() or time.monotonic() - last_save > checkpoint_seconds:
            save_checkpoint(run.state_dict(), out)
            last_save = time.monotonic()
        if stop.is_set():
            raise KeyboardInterrupt(f"stopped after outer step {run.loop.step}; {again} resumes there")


def _begin(out: Path, recipe: Recipe, dataset: Data, cache: Cache, *settings: Any) -> Run:
    """A new run. Until there is one the first Ctrl-C, SIGTERM or SIGHUP ends it; finished trainings stay."""
    try:
        with _signals(signal.default_int_handler):
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
    """The first Ctrl-C, SIGTERM or SIGHUP sets an event: no step is cut in two. A second one is final."""
    stop = threading.Event()

    def request(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    with _signals(request):
        yield stop


@contextmanager
def _signals(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Ctrl-C, SIGTERM and the end of a terminal (SIGHUP) go to `handler`.

    A SIGHUP that is ignored, as under `nohup`, stays ignored. Only the main thread gets signals; elsewhere
    nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)
