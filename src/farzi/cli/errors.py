"""Errors that a user can correct become one line on stderr and exit status 2, without a traceback."""

import errno
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from farzi.errors import FarziError

WRONG, INTERRUPTED = 2, 130
"""Exit statuses: for an error in the input, and for Ctrl-C (128 + SIGINT, as in shells)."""

# Errors of the machine, not of the program: no space, no permission, no such file.
_REFUSALS = {
    errno.ENOSPC: "the disk is full; make room and run the same command again",
    errno.EDQUOT: "the disk quota is used up; make room and run the same command again",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOENT: "no such file or folder",
    errno.ENOTDIR: "not a folder",
    errno.EISDIR: "a folder, not a file",
    errno.EEXIST: "exists already",
    errno.ENAMETOOLONG: "the name is too long",
}


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
        click.echo(question.format_message())
        status = 0
    except (click.ClickException, click.Abort, FarziError, OSError) as error:
        known = _line_and_status(error)
        if known is None:
            raise
        line, status = known
        click.echo(f"farzi: {' '.join(line.split())}", err=True)
    sys.exit(status if isinstance(status, int) else 0)


def _line_and_status(error: Exception) -> tuple[str, int] | None:
    """The line for an error and the exit status; None for an error of the program itself."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{error.format_message()} ({error.ctx.command_path} --help)", WRONG
    if isinstance(error, click.ClickException):
        return error.format_message(), WRONG
    if isinstance(error, click.Abort):  # from KeyboardInterrupt, whose text says how to resume
        return str(error.__cause__ or "") or "interrupted", INTERRUPTED
    if isinstance(error, FarziError):
        return str(error), WRONG
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{_REFUSALS[error.errno]}", WRONG
    return None
