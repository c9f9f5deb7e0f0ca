"""The one exception for mistakes that a user can mend."""


class FarziError(Exception):
    """A mistake in what the user gave: a file, a column, a recipe, a folder.

    The message is one clear line that says what was wrong, where (file, line, column) and what to do.
    The command line prints it without a traceback and exits with status 2.
    """
