"""What settings there are, and plain words for what is wrong with a recipe: its file, Python or command."""

import difflib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from farzi.recipe.recipe import Recipe
from farzi.recipe.settings import Settings, Variant, element_of, group_of, variants_of

Path = tuple[str, ...]

# What a value should have been, by the first word of pydantic's error type: int_type, int_from_float, ...
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "finite": "a finite number",
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def known_settings(model: type[Settings] = Recipe, path: Path = ()) -> Iterator[tuple[Path, FieldInfo]]:
    """Every setting of a model with its path, those of all built-in variants of an axis among them.

    A setting that several variants of one axis have comes once for each of them.
    """
    for name, field in model.model_fields.items():
        here, group, variants = (*path, name), group_of(field), variants_of(field)
        if variants:
            yield (*here, "type"), field
        elif group is None and not (name == "type" and issubclass(model, Variant)):
            yield here, field
        for inside in variants if group is None else (group,):
            yield from known_settings(inside, here)


def message(error: ErrorDetails) -> str:
    """One line for one of pydantic's errors about a recipe."""
    path, model, variants = location(error)
    if error["type"] == "extra_forbidden" and model is not None:
        return _unknown(path, model, variants)
    if error["type"] == "model_type" and model is not None:
        return f"{'.'.join(path) or 'a recipe'} must be a group of settings ({', '.join(model.model_fields)})"
    return explain(error, ".".join(path))


def location(error: ErrorDetails) -> tuple[Path, type[Settings] | None, tuple[type[Variant], ...]]:
    """The setting that an error is about.

    Returns:
        Its path, without places in lists and types of variants; the innermost model of settings there; and
        the variants of the axis that this model was chosen on.
    """
    path: list[str] = []
    model: type[Settings] | None = Recipe
    variants: tuple[type[Variant], ...] = ()
    choosing = False  # whether the next part is the type of a variant
    for part in error["loc"]:
        if isinstance(part, int) or model is None:
            continue
        if choosing:
            model, choosing = next((one for one in variants if one.tag() == part), None), False
            continue
        path.append(part)
        if part not in model.model_fields:
            break
        field = element_of(model.model_fields[part])
        if siblings := variants_of(field):
            variants, choosing = siblings, True
        else:
            model, variants = group_of(field), ()
    return tuple(path), model, variants


def explain(error: ErrorDetails, name: str) -> str:
    """One line such as `inner.steps must be at least 1, not 0`.

    Args:
        error: what pydantic reports.
        name: the setting that it is about; empty for the recipe as a whole.
    """
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    if kind == "value_error":  # raised by a validator of this package
        said = str(context["error"])  # a whole sentence, or what the setting must be
        return f"{name}{'' if said.startswith('must ') else ':'} {said}" if name else said
    if kind == "variant":
        own = '; a class of your own is named as "package.module:Class"'
        line = _choice(f"{name}.type", context["given"], context["known"])
        return line if context["given"] is None else line + own
    if kind in _BOUNDS:  # both are numbers
        word, key = _BOUNDS[kind]
        return f"{name} must be {word} {context[key]:g}, not {value:g}"
    if kind == "literal_error":
        choices = [choice.strip("'") for choice in context["expected"].replace(" or ", ", ").split(", ")]
        return _choice(name, value, choices)
    expected = _KINDS.get(kind.partition("_")[0])
    if expected is None:
        return f"{name}: {error['msg']}, not {shown(value)}"
    hint = "; put it in quotes" if expected == "text" and isinstance(value, int | float) else ""
    return f"{name} must be {expected}, not {shown(value)}{hint}"


def did_you_mean(word: object, choices: Iterable[str]) -> str:
    """`; did you mean adam?` where one of the choices is near, and nothing where none is."""
    near = difflib.get_close_matches(str(word).lower(), list(choices), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def shown(value: object, width: int = 40) -> str:
    """A value on one line as YAML writes it, cut to a width."""
    if isinstance(value, dict):
        text = "a group"
    elif value is None or isinstance(value, str | bool | int | tuple | list):
        text = json.dumps(value, ensure_ascii=False, default=str)
    else:
        text = str(value)
    return text if len(text) <= width else text[: width - 1] + "…"


def _choice(name: str, value: Any, choices: list[str]) -> str:
    return f"{name} must be one of {', '.join(choices)}, not {shown(value)}{did_you_mean(value, choices)}"


def _unknown(path: Path, model: type[Settings], variants: tuple[type[Variant], ...]) -> str:
    """One line for a key that `model` does not have, with the nearest known ones."""
    name, where = path[-1], ".".join(path)
    everywhere = list(dict.fromkeys(known for known, _ in known_settings()))
    if tuple(name.split(".")) in everywhere:
        first, *rest = (f"'{one}:'" for one in name.split("."))
        lines = "lines, each indented further" if len(rest) > 1 else "line, indented"
        return f"unknown key {shown(name)}; write {first} and, on the next {lines}, {', '.join(rest)}"
    of = ""
    if issubclass(model, Variant):
        if others := [one.tag() for one in variants if name in one.model_fields]:
            *first, last = others
            named = f"{', '.join(first)} and {last}" if first else last
            have = f"{named} {'have' if first else 'has'}"
            return f"unknown key {where}: {model.tag()} has no {name}, only {have}; leave it out"
        of = f" of {model.tag()}"
    near = [".".join(one) for one in _nearest(path, model, everywhere)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"known here: {', '.join(model.model_fields)}"
    return f"unknown key {where}{of}; {hint}"


def _nearest(path: Path, model: type[Settings], everywhere: list[Path]) -> list[Path]:
    """The same name elsewhere, else a near one in this group, else near ones anywhere."""
    group, word = path[:-1], path[-1].lower().replace("-", "_")
    if same := [known for known in everywhere if known[-1] == word and known[:-1] != group]:
        return same
    if near := difflib.get_close_matches(word, model.model_fields, n=1):
        return [(*group, near[0])]
    near = difflib.get_close_matches(word, [known[-1] for known in everywhere], n=1)
    return [known for known in everywhere if known[-1] in near]
