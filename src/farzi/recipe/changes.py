"""What two recipes differ in, and other values for some settings by their dotted path."""

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from farzi.errors import FarziError
from farzi.recipe.dialect import Loader
from farzi.recipe.explain import Path, message, shown
from farzi.recipe.recipe import Recipe
from farzi.recipe.settings import Custom, Settings, variants_of


def differences(first: Recipe, second: Recipe) -> list[str]:
    """One line for each setting with two values, as in `inner.steps: 100 -> 50`.

    Neither where a local copy of the data lies nor how summaries are compared makes a difference to a run.
    """
    old, new = _flat(first.model_dump()), _flat(second.model_dump())
    return [
        f"{'.'.join(path)}: {shown(old.get(path))} -> {shown(new.get(path))}"
        for path in dict.fromkeys([*old, *new])
        if path != ("data", "file") and path[0] != "compare" and old.get(path) != new.get(path)
    ]


def _flat(values: Mapping[str, Any], path: Path = ()) -> dict[Path, Any]:
    """The values of nested mappings by path, in their order."""
    result: dict[Path, Any] = {}
    for name, value in values.items():
        result |= _flat(value, (*path, name)) if isinstance(value, Mapping) else {(*path, name): value}
    return result


ABSENT = ("model",)
"""Names of groups that a recipe may be without: `teach.model`."""


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above`, completed by `below`.

    A variant of another `type` replaces the one below as a whole; null leaves a group as it is, unless it is
    one of `ABSENT`.
    """
    result = dict(below)
    for name, value in above.items():
        former = result.get(name)
        if isinstance(former, Custom):
            kind = former.type
        else:
            kind = former.get("type") if isinstance(former, Mapping) else None
        if kind is not None and isinstance(value, str):
            value = {"type": value}
        if value is None and isinstance(former, Mapping | Custom) and name not in ABSENT:
            continue
        if not isinstance(former, Mapping | Custom) or not isinstance(value, Mapping):
            result[name] = value
        elif value.get("type", kind) != kind:
            result[name] = dict(value)
        else:
            result[name] = former.changed(value) if isinstance(former, Custom) else merged(former, value)
    return result


def changed(recipe: Recipe, changes: Mapping[str, Any]) -> Any:
    """A recipe with other values by dotted path; see `Recipe.changed`."""
    values = _nested(recipe)
    # outer settings first: a variant must be there before its settings
    for path in sorted(changes, key=lambda path: path.removesuffix(".type").count(".")):
        above: Any = changes[path]
        above = _nested(above) if isinstance(above, Settings) else above
        for name in reversed(path.split(".")):
            above = {name: above}
        values = merged(values, above)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise FarziError(message(error.errors()[0])) from None


def _nested(settings: Settings) -> dict[str, Any]:
    """The values of settings in nested dicts; variants of the user's are left as they are."""
    return {name: _nested(value) if isinstance(value, Settings) else value for name, value in settings}


def student_of_type(student: Any, type: str) -> dict[str, Any]:
    """The settings of a student of another type, with those of the variant `student` that it has, too."""
    if type == student.type:
        return student.model_dump()
    variants = variants_of(Recipe.model_fields["student"])
    names = next((one.model_fields for one in variants if one.tag() == type), ())
    return {"type": type, **{name: value for name, value in student.own.items() if name in names}}


RESERVED = ("|", ">", "%", "@", "`", ",")
"""Characters with which a value of one line cannot begin in YAML."""


def parse_change(text: str) -> tuple[str, Any]:
    """A change as `inner.steps=200` gives it; the value is read as YAML, or as text after `RESERVED`.

    Raises:
        FarziError: there is no `=`, or the value is not YAML.
    """
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise FarziError(f"{shown(text)}: a setting is given as path=value, as in inner.steps=200")
    if value[:1] in RESERVED:  # as in data.time_format=%d.%m.%Y
        return path.strip(), value
    try:
        parsed = yaml.load(value, Loader)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise FarziError(f"{path}: the value {shown(value)} cannot be read as YAML") from None
    return path.strip(), tuple(parsed) if isinstance(parsed, list) else parsed
