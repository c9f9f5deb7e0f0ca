"""The exception for errors that a user can correct, the warning about input left out, and safe text."""

import errno
import re

_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, marks that change the direction of text, and lone surrogates."""


def visible(text: object, keep: str = "", form: str | None = None) -> str:
    r"""Text that is safe on a terminal: control characters and the like become `\x1b`, `\u202e`.

    Args:
        text: names, ids, paths and messages that hold what somebody else wrote.
        keep: characters that stay.
        form: how such a character is written, with its number at `{}`, in place of Python's own escapes.
    """

    def escaped(match: re.Match[str]) -> str:
        one = match.group()
        if one in keep:
            return one
        return form.format(ord(one)) if form else one.encode("unicode_escape").decode()

    return _HIDDEN.sub(escaped, str(text))


class FarziError(Exception):
    """An error in what the user gave: a file, a column, a recipe, a folder.

    The message is one clear line that says what was wrong, where (file, line, column) and what to do; control
    characters in it are `visible`. The command line prints it without a traceback and exits with status 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(visible(message))


class FarziWarning(UserWarning):
    """Part of what the user gave was left out; the message counts what and says why."""

    def __init__(self, message: str) -> None:
        super().__init__(visible(message))


_MEMORY = re.compile(
    r"out of memory|not enough memory|can.?t allocate|unable to allocate|enforce fail at alloc|"
    r"storage size calculation|integer multiplication overflow|array is too big|maximum allowed dimension",
    re.IGNORECASE,
)


def out_of_memory(error: BaseException) -> str | None:
    """The first line of an error that says that memory does not suffice; None for any other error."""
    text = str(error).partition("\n")[0]
    kinds = RuntimeError | ValueError  # of PyTorch, its GPUs among them; of numpy for impossible sizes
    said = isinstance(error, kinds) and _MEMORY.search(text)
    if said or isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return re.sub(r"^\[.*Allocator: ", "", text) or type(error).__name__
    return None
