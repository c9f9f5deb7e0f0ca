"""Settings and arguments of the library in the words of the command line: the one place that translates."""

import re

import click

_GROUPS = "data|student|teach|summary|init|inner|outer|select|compare"
_PATH = re.compile(rf"(?<![\w/.])((?:{_GROUPS})(?:\.[a-z]\w*)+)(=[\w-]+(?:\.\d+)?)?")
_COMPLETE = re.compile(r"^(\S+:\d+(:\d+)?: |unknown key )")
"""The start of an error in a file, with line and column, or of one that names the setting that was meant."""

_ARGUMENTS = {"restart=True": "--restart", "unchecked=True": "--unchecked"}
"""Arguments of Python functions that messages name, and their options."""

_WORDS = {"data.type=text": "--tokens words"}

HINTS = 3
"""Settings at most that a message says how to change."""


def name_of_setting(path: str, command: click.Command) -> str:
    """An option of the command for a setting, else `--set PATH`; "DATA" for the data itself."""
    option = _option(path, command)
    return option or f"--set {path}"


def in_option_names(message: str, command: click.Command) -> str:
    """A message of the library in the words of a command.

    A setting that has an option is named by it, a value for a setting by `--set path=value`. For other
    settings the end of the line says how to set them. Errors in a recipe file stay as they are, and so do
    differences between two recipes.
    """
    message = arguments_as_options(message)
    if _COMPLETE.match(message) or "--set" in message or " -> " in message or not _flags(command, "--set"):
        return message
    for words, option in _WORDS.items():
        if _flags(command, option.split()[0]):
            message = message.replace(words, option)
    hints: dict[str, None] = {}

    def translated(match: re.Match[str]) -> str:
        path, value = match.group(1), match.group(2)
        if not _is_setting(path):
            return match.group()
        option = _option(path, command)
        if value:
            return f"{option} {value[1:]}" if option and option.startswith("--") else f"--set {path}{value}"
        if option:
            return option
        hints[f"--set {path}=..."] = None
        return path

    message = _PATH.sub(translated, message)
    return f"{message} ({', '.join(list(hints)[:HINTS])})" if hints else message


def arguments_as_options(message: str) -> str:
    """A message with options in place of Python arguments."""
    for words, option in _ARGUMENTS.items():
        message = message.replace(words, option)
    return message


def _option(path: str, command: click.Command) -> str | None:
    if path == "data.source" and any(param.name == "source" for param in command.params):
        return "DATA"
    for param in command.params:
        if getattr(param, "path", None) in (path, f"{path}.type"):
            return param.opts[0]
    return None


def _flags(command: click.Command, option: str) -> bool:
    return any(option in param.opts for param in command.params)


def _is_setting(path: str) -> bool:
    """Whether a path is a setting, or the axis or group that holds some."""
    from farzi.recipe import known_settings

    wanted = tuple(path.split("."))
    return any(known[: len(wanted)] == wanted for known, _ in known_settings())
