"""Plain words for what pydantic reports, shared by recipe files, Python and the command line."""

import difflib
import json
from typing import Any

from pydantic_core import ErrorDetails

# What a value should have been, by the first word of pydantic's error type: int_type, int_from_float, ...
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "list": "a list",
    "model": "a group of settings",
    "finite": "a finite number",
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def explain(error: ErrorDetails, name: str) -> str:
    """One line such as `inner.steps must be at least 1, not 0`.

    Args:
        error: what pydantic reports.
        name: the setting that it is about; empty for the recipe as a whole.
    """
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    if kind == "value_error":  # raised by a validator of this package, whose text is a whole sentence
        return f"{name}: {context['error']}" if name else str(context["error"])
    name = name or "the recipe"
    if kind == "variant":
        return _choice(f"{name}.type", context["given"], list(context["known"])) + (
            '; a class of your own is named as "package.module:Class"' if context["given"] is not None else ""
        )
    if kind in _BOUNDS:  # both are numbers
        word, key = _BOUNDS[kind]
        return f"{name} must be {word} {context[key]:g}, not {value:g}"
    if kind == "literal_error":
        choices = [choice.strip("'") for choice in context["expected"].replace(" or ", ", ").split(", ")]
        return _choice(name, value, choices)
    if kind == "extra_forbidden":
        return f"unknown key {name}"
    expected = _KINDS.get(kind.partition("_")[0])
    if expected is None:
        return f"{name}: {error['msg']}, not {shown(value)}"
    hint = "; put it in quotes" if expected == "text" and isinstance(value, int | float) else ""
    return f"{name} must be {expected}, not {shown(value)}{hint}"


def _choice(name: str, value: Any, choices: list[str]) -> str:
    return f"{name} must be one of {', '.join(choices)}, not {shown(value)}{did_you_mean(value, choices)}"


def did_you_mean(word: object, choices: list[str]) -> str:
    """`; did you mean adam?` where one of the choices is near, and nothing where none is."""
    near = difflib.get_close_matches(str(word).lower(), choices, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def shown(value: object, width: int = 40) -> str:
    """A value on one line as YAML writes it, cut to a width."""
    if value is None or isinstance(value, str | bool | int):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, dict):
        text = "a group"
    else:
        text = (
            json.dumps(value, ensure_ascii=False, default=str)
            if isinstance(value, tuple | list)
            else str(value)
        )
    return text if len(text) <= width else text[: width - 1] + "…"
