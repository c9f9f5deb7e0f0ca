"""The exception for errors that a user can correct, and the warning about input that is left out."""


class FarziError(Exception):
    """An error in what the user gave: a file, a column, a recipe, a folder.

    The message is one clear line that says what was wrong, where (file, line, column) and what to do.
    The command line prints it without a traceback and exits with status 2.
    """


class FarziWarning(UserWarning):
    """Part of what the user gave was left out; the message counts what and says why."""
