"""Work in several processes of one thread each, which end with the process that started them.

A process gets its job through a pipe, as a pickle that only its parent writes. The pipe stays open as long as
the parent lives: its end ends the process, however the parent ended.
"""

import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, Protocol

import torch

from farzi.errors import FarziError

CRASHES = 3
"""Processes that end by a signal, such as a kill for lack of memory, before the work is given up."""
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")}


class Job(Protocol):
    """Work that any number of processes do together, each until nothing is left."""

    def work(self, between: Callable[[], None]) -> None:
        """Do parts until none is left; call `between` after each."""
        ...


def work(job: Job, jobs: int, between: Callable[[], None], warn: Callable[[str], None]) -> None:
    """Do a job in `jobs` processes; in this one, with one thread, if that is 1.

    Args:
        job: the work.
        jobs: processes.
        between: called now and then, for reports.
        warn: told in one line that a process was killed.

    Raises:
        FarziError: a process raised it, or too many of them were killed.
        KeyboardInterrupt: interrupted; all processes are ended.
    """
    if jobs == 1:
        with one_thread():
            job.work(between)
        return
    given, crashes = pickle.dumps((list(sys.path), job)), 0
    processes = [_start(given) for _ in range(jobs)]
    try:
        while processes:
            time.sleep(0.2)
            between()
            for process in [one for one in processes if one.poll() is not None]:
                processes.remove(process)
                said = process.communicate()[0].decode("utf-8", "replace").strip()
                if process.returncode == 2:
                    raise FarziError(said)
                if process.returncode > 0:
                    raise RuntimeError(said or f"a process ended with status {process.returncode}")
                if process.returncode < 0:
                    crashes += 1
                    what = f"a process was ended by signal {-process.returncode}"
                    if crashes > CRASHES:
                        raise FarziError(f"{what}, and {CRASHES} before it; is there memory for {jobs} jobs?")
                    warn(f"{what} (too little memory?); what it did is done again")
                    processes.append(_start(given))
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    between()


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch uses one thread here."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _start(given: bytes) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", "from farzi.tuning.processes import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **ONE_THREAD},
        start_new_session=True,  # Ctrl-C reaches the parent alone, which ends them
    )
    assert process.stdin is not None
    try:
        process.stdin.write(len(given).to_bytes(8) + given)
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it has ended; the parent finds out why
    return process


def main() -> NoReturn:
    """What a process does: read its job, do it, and end."""
    stream = sys.stdin.buffer
    size = int.from_bytes(stream.read(8))
    given = stream.read(size)
    if not size or len(given) < size:
        os._exit(0)  # the parent was interrupted
    sys.path[:], job = pickle.loads(given)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    status = 0
    with one_thread():
        try:
            job.work(lambda: None)
        except FarziError as error:
            print(error)
            status = 2
        except BaseException:
            traceback.print_exc()
            status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # the thread still reads


def _end_with_parent() -> None:
    while os.read(0, 1):  # until the parent has ended
        pass
    os._exit(0)
