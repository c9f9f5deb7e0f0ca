"""`distill`: from a recipe to a summary's folder, resumable at any moment."""

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from farzi.data import Data, load_data
from farzi.distillation.checkpoint import Checkpoint
from farzi.distillation.contradictions import refuse_contradictions
from farzi.distillation.progress import Progress
from farzi.distillation.reference import References, trainings
from farzi.distillation.state import Run, refuse_another
from farzi.files import remove_leftovers, write_text_atomic
from farzi.recipe import Recipe
from farzi.summary import Folder, history_text

TRAININGS = "trainings"
"""Where a run's folder keeps full-data trainings until its first state is saved."""


def distill(
    recipe: Recipe,
    out: str | Path,
    *,
    dataset: Data | None = None,
    restart: bool = False,
    unchecked: bool = False,
    progress: Progress | None = None,
    references: References | None = None,
    device: torch.device | str = "cpu",
    checkpoint_seconds: float = 30.0,
) -> Folder:
    """Learn a summary and write its folder.

    The state is saved every `checkpoint_seconds`, and when the run is interrupted. The same call then resumes
    it and ends with the very same summary and history as an uninterrupted run, given the same machine and
    threads (with `recipe.outer.minutes` only nearly so, for the clock then decides how many steps are taken).

    Args:
        recipe: the whole run.
        out: the summary's folder, made if need be.
        dataset: the log, if it is loaded already; else `recipe.data` is.
        restart: begin anew even if `out` holds a run or a summary, which is then lost.
        unchecked: begin even where the metagradient is not precise enough (bfloat16, TF32), with a warning.
        progress: hears how the run goes.
        references: gives the full-data trainings that a new run begins with, and keeps them; if None, `out`
            does until the run's first state is saved.
        device: where all of it is done; a run may go on elsewhere than it began.
        checkpoint_seconds: between two saves of the state.

    Returns:
        What now lies in the folder, on the CPU. A folder that holds this recipe's finished summary is
        returned as it is.

    Raises:
        FarziError: the recipe contradicts itself, the log cannot be used, the first metagradient is not
            precise enough, `out` holds a run of another recipe or log, one of its files is damaged, or the
            metagradient stays without a finite value.
        KeyboardInterrupt: the run was interrupted; its text says what is saved. Before the first outer step
            that is the full-data trainings that are done, and it ends at once.
        OSError: the disk is full or `out` cannot be written; the state saved before is still there.
    """
    out, progress = Path(out), progress or Progress()
    refuse_contradictions(recipe)
    dataset = dataset or load_data(recipe.data)
    # Where there is a checkpoint, a summary beside it is that of an earlier run, or not whole.
    saved = None if restart else Checkpoint.load(out)
    if saved is not None:
        run = Run.resume(saved.to(device), recipe, dataset, progress, out)
        progress.message(f"resuming {out} after outer step {run.outer.step}")
    elif not restart and (out / "summary.safetensors").exists():
        finished = Folder.load(out)
        data = finished.run.get("data_sha256")
        refuse_another(finished.recipe, recipe, data, dataset, out, "the summary")
        progress.message(f"{out} holds this summary already; --restart learns it anew")
        return finished
    else:
        references = references or References(out / TRAININGS)
        run = _begin(recipe, dataset, progress, out, unchecked, references, device)
    remove_leftovers(out)
    with _stopping() as stop:
        if saved is None:
            run.checkpoint().save(out)
            Folder.remove(out)
        shutil.rmtree(out / TRAININGS, ignore_errors=True)
        last_save = time.monotonic()
        while not run.done:
            run.advance()
            if run.due:
                run.measure()
                write_text_atomic(out / "history.jsonl", history_text(run.history))
            if stop.is_set() or time.monotonic() - last_save > checkpoint_seconds:
                run.checkpoint().save(out)
                last_save = time.monotonic()
            if stop.is_set():
                again = "the same command, without --restart," if restart else "the same command"
                raise KeyboardInterrupt(
                    f"stopped after outer step {run.outer.step}; {again} goes on from there"
                )
    folder = run.folder()
    folder.save(out)
    Checkpoint.remove(out)
    return folder


def _begin(
    recipe: Recipe,
    dataset: Data,
    progress: Progress,
    out: Path,
    unchecked: bool,
    references: References,
    device: torch.device | str,
) -> Run:
    """A new run. Until there is one the first Ctrl-C or SIGTERM ends it all; finished trainings stay."""
    made = not out.exists()
    out.mkdir(parents=True, exist_ok=True)  # before the long training, in case it cannot be
    try:
        with _signals(_interrupt):
            return Run.begin(recipe, dataset, progress, unchecked, references, device)
    except BaseException as error:
        if made:
            with suppress(OSError):
                out.rmdir()
        if isinstance(error, KeyboardInterrupt):
            kept, number = references.kept(recipe, dataset), len(trainings(recipe))
            saved = "nothing was saved, the same command begins anew"
            if kept:
                saved = f"{kept} of {number} full-data trainings are kept, the same command goes on there"
            raise KeyboardInterrupt(f"stopped before the first outer step; {saved}") from None
        raise


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """The first Ctrl-C or SIGTERM becomes an event, so that no step is cut in two; a second one is final."""
    stop = threading.Event()

    def ask(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    with _signals(ask):
        yield stop


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


@contextmanager
def _signals(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM go to `handler`; nothing is done outside the main thread, which alone hears them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)
