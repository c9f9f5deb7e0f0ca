"""The reference of the recipe, made from the models that check it."""

import json
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from farzi.recipe import Custom


def recipe_reference() -> str:
    """One section for each part of a recipe: its settings, their types, defaults and meaning."""
    from farzi.recipe import Recipe

    top = [(name, field) for name, field in Recipe.model_fields.items() if not _models(field.annotation)]
    parts = [_table(top)]
    for name, field in Recipe.model_fields.items():
        if variants := _models(field.annotation):
            parts += _section(name, field.get_default(call_default_factory=True), variants, 2)
    return "\n".join(parts)


def _section(path: str, default: Any, variants: list[type[BaseModel]], level: int) -> list[str]:
    """A part of the recipe and what is nested in it."""
    lines = [f"{'#' * level} `{path}`", ""]
    if len(variants) == 1 and "type" not in variants[0].model_fields:
        return lines + _variant(path, default, variants[0], level)
    names = [
        f"`{_type(variant)}`" + (" (default)" if isinstance(default, variant) else "") for variant in variants
    ]
    lines += [f"One of {', '.join(names)}.", ""]
    for variant in variants:
        lines += [f"{'#' * (level + 1)} `{path}: {{type: {_type(variant)}}}`", ""]
        lines += _variant(path, default if isinstance(default, variant) else None, variant, level + 1)
    return lines


def _variant(path: str, default: Any, model: type[BaseModel], level: int) -> list[str]:
    """The doc string, the table of plain settings, and sections of nested ones."""
    fields = {name: field for name, field in model.model_fields.items() if name != "type"}
    plain = [(name, field) for name, field in fields.items() if not _models(field.annotation)]
    lines = [" ".join((model.__doc__ or "").split()), "", _table(plain)]
    for name, field in fields.items():
        if nested := _models(field.annotation):
            value = (
                getattr(default, name, None)
                if default is not None
                else field.get_default(call_default_factory=True)
            )
            lines += _section(f"{path}.{name}", value, nested, min(level + 1, 5))
    return lines


def _table(fields: list[tuple[str, FieldInfo]]) -> str:
    if not fields:
        return ""
    rows = [
        f"| `{name}` | {_cell(_plain(field.annotation))} | `{_value(field)}` | {_cell(field.description)} |"
        for name, field in fields
    ]
    return "\n".join(["| setting | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The built-in models that an annotation allows, through unions and `Annotated`."""
    if get_origin(annotation) is Annotated:
        return _models(get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [] if annotation is Custom else [annotation]
    if get_origin(annotation) in (list, tuple, dict):
        return []
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _type(model: type[BaseModel]) -> str:
    """The value of `type` that names a variant."""
    field = model.model_fields.get("type")
    return str(field.default if field and field.default else model.__name__)


def _plain(annotation: Any) -> str:
    """A type as users write it: words and numbers, without Python's machinery."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if variants := _models(annotation):
        return ", ".join(f"`{_type(variant)}`" for variant in variants)
    if origin is Annotated:
        return _plain(arguments[0])
    if annotation is type(None):
        return "null"
    if origin in (list, tuple):
        return "list of " + " or ".join(_plain(one) for one in arguments if one is not Ellipsis)
    if origin is not None and getattr(origin, "__name__", "") == "Literal":
        return ", ".join(f"`{one}`" for one in arguments)
    if arguments and origin is not dict:
        return ", ".join(_plain(one) for one in arguments)
    names = {"int": "whole number", "float": "number", "str": "text", "bool": "`true`, `false`"}
    name = getattr(annotation, "__name__", str(annotation))
    return names.get(name, name)


def _value(field: FieldInfo) -> str:
    """A default as YAML has it."""
    value = field.get_default(call_default_factory=True)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, tuple):
        return f"[{', '.join(str(getattr(one, 'type', one)) for one in value)}]"
    return str(value)


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")
