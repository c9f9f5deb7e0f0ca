"""Every mistake that a user can mend becomes one line on stderr and exit status 2; none shows a traceback."""

import errno
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from farzi.errors import FarziError

WRONG, INTERRUPTED = 2, 130
"""Exit statuses: for a mistake in what was given, and for Ctrl-C (128 + SIGINT, as shells have it)."""

# What the machine refuses rather than the program gets wrong: no room, no permission, no such place.
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
    """A group of commands, listed in the order they were added in, that turns mistakes into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of its commands in the order that they are used in."""
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
        said = _line_and_status(error)
        if said is None:
            raise
        line, status = said
        click.echo(f"farzi: {' '.join(line.split())}", err=True)
    sys.exit(status if isinstance(status, int) else 0)


def _line_and_status(error: Exception) -> tuple[str, int] | None:
    """What to say about an error and the status to exit with; None where it is a mistake of the program."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{error.format_message()} ({error.ctx.command_path} --help)", WRONG
    if isinstance(error, click.ClickException):
        return error.format_message(), WRONG
    if isinstance(error, click.Abort):  # what click makes of KeyboardInterrupt, whose text says how to go on
        return str(error.__cause__ or "") or "interrupted", INTERRUPTED
    if isinstance(error, FarziError):
        return str(error), WRONG
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{_REFUSALS[error.errno]}", WRONG
    return None
