"""The command `farzi`: its sub-commands, and how a command runs in its process.

Errors that a user can correct are one line on stderr and exit status 2, without a traceback. PyTorch and
polars are imported when a command runs, not here.
"""

import ctypes
import errno
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

import click

from farzi.cli.check import check
from farzi.cli.compare import compare
from farzi.cli.data import data
from farzi.cli.distill import distill
from farzi.cli.evaluate import evaluate
from farzi.cli.frontier import frontier
from farzi.cli.inspect import inspect
from farzi.cli.options import arguments_as_options
from farzi.cli.output import say
from farzi.cli.plan import plan
from farzi.cli.recipe import recipe
from farzi.cli.recommend import recommend
from farzi.cli.report import report
from farzi.cli.train import train
from farzi.cli.tune import tune
from farzi.cli.tune_baseline import tune_baseline
from farzi.cli.update import update
from farzi.cli.watch import watch
from farzi.errors import FarziError, out_of_memory
from farzi.launch import leave, started

TOO_LARGE = (MemoryError, RuntimeError, ValueError)
"""Errors of numpy and PyTorch where memory does not suffice, or where a size is impossible; and others."""

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a disk without space."""

MACHINE = (*FULL, errno.EFBIG, errno.EIO, errno.EBUSY, errno.ELOOP, errno.EMFILE, errno.ENFILE, errno.ESTALE)
"""Errors of the machine, whatever file they name: no error of the program."""


SHARED = ("distill", "compare")
"""Commands that share their work among several processes."""


class Commands(click.Group):
    """A group of commands, listed in the order in which they were added, with errors in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of its commands in the order of their use."""
        return list(self.commands)

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run a command line, `sys.argv` if none is given; leaves through `SystemExit`."""
        run_command(super().main, *args, **extra)


def run_command(main: Callable[..., Any], *args: Any, **extra: Any) -> NoReturn:
    """Run `main` of a click command; an error becomes one line on stderr. Leaves through `SystemExit`."""
    extra["standalone_mode"] = False
    try:
        status = main(*args, **extra)
    except click.exceptions.NoArgsIsHelpError as question:
        say(question.format_message())
        status = 0
    except (click.ClickException, click.Abort, FarziError, OSError, *TOO_LARGE) as error:
        if isinstance(error, BrokenPipeError):  # who read the results has gone
            _silence(1)
            sys.exit(1)
        line = _line(error)
        if line is None:
            raise  # an error of the program
        say(f"farzi: {' '.join(line.split())}", err=True)
        status = 130 if isinstance(error, click.Abort) else 2  # 128 + SIGINT, as in shells
    sys.exit(status if isinstance(status, int) else 0)


def _line(error: Exception) -> str | None:
    """What is printed; None for an error of the program, whose traceback is printed."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{error.format_message()} ({error.ctx.command_path} --help)"
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, click.Abort):  # from KeyboardInterrupt, whose text says how to resume
        return arguments_as_options(str(error.__cause__ or "")) or "interrupted"
    if isinstance(error, OSError) and error.errno != errno.ENOMEM:
        if error.filename is None and error.errno not in MACHINE:
            return None
        where = f"{error.filename}: " if error.filename is not None else ""
        advice = "; make room and run the same command again" if error.errno in FULL else ""
        return f"{where}{error.strerror}{advice}"
    if isinstance(error, FarziError):
        return str(error)
    what = out_of_memory(error)
    return what and f"out of memory: {what}; `farzi plan` says what a recipe takes"


class Undisturbed:
    """A stream whose reader may go away, as a terminal or `head` does: what is written then is dropped."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or drop the text."""
        try:
            return self._stream.write(text)
        except OSError:
            _silence(2)
            return len(text)

    def flush(self) -> None:
        """Flush, or drop what is there."""
        try:
            self._stream.flush()
        except OSError:
            _silence(2)


def _silence(descriptor: int) -> None:
    """From now on, what is written there goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def prepare_process() -> None:
    """Prepare for a run of hours: output on any terminal that cannot end it, and freed memory that is kept.

    Characters that the encoding of stdout or stderr lacks are shown by their numbers.

    Each training step allocates and frees arrays of several megabytes. By default glibc unmaps them at once,
    and the next step maps them again page by page: a reverse step with 3,497 items had 8,900 page faults and
    was a third slower.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stderr = Undisturbed(sys.stderr)
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # not under nohup
        signal.signal(signal.SIGHUP, signal.default_int_handler)  # a closed terminal is a Ctrl-C
    default = warnings.showwarning

    def in_one_line(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if category.__module__.startswith("farzi."):
            say(f"farzi: {message}", err=True)
        else:
            default(message, category, *rest)

    warnings.showwarning = in_one_line
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform.startswith("linux") else None
    if mallopt is not None:
        for parameter, value in ((-3, 2**25), (-1, 2**30), (-2, 2**26)):  # mmap and trim threshold, top pad
            mallopt(parameter, value)


def divide_work(words: list[str]) -> None:
    """Among several processes only the first one prints, and what cannot be shared it does alone."""
    rank, size = started()
    if size == 1:
        return
    if rank > 0:
        _silence(1)
        _silence(2)
    if words and words[0] in SHARED:
        return
    if rank > 0:
        sys.exit(0)
    shared = " and ".join(SHARED)
    say(f"farzi: the first of {size} processes works, the others end; {shared} share their work", err=True)
    leave()


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Start with: farzi distill --out runs/first. Every command has its own --help.",
)
@click.version_option(package_name="farzi", prog_name="farzi", message="%(prog)s %(version)s")
def app() -> None:
    """Distil a log of event sequences into a few synthetic ones that train a recommender as well."""


for _command in (
    *(
        data,
        recipe,
        plan,
        check,
        distill,
        watch,
        train,
        evaluate,
        recommend,
        compare,
        frontier,
        report,
        tune,
        update,
        tune_baseline,
        inspect,
    ),
):
    app.add_command(_command)


def main() -> None:
    """The entry point of the script `farzi`; a user's classes are imported from the current folder, too."""
    prepare_process()
    sys.path.append(os.getcwd())
    divide_work(sys.argv[1:])
    app.main(prog_name="farzi")
