"""Settings by their dotted path: what there is, what two recipes differ in, and other values for some."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, cast

import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from farzi.errors import FarziError
from farzi.recipe.dialect import Loader
from farzi.recipe.explain import explain, shown
from farzi.recipe.recipe import Recipe
from farzi.recipe.settings import Custom, Settings, Variant, element_of, variants_of

Path = tuple[str, ...]


def known_settings(model: type[Settings] = Recipe, path: Path = ()) -> Iterator[tuple[Path, FieldInfo]]:
    """Every setting of a model with its path, those of all built-in variants of an axis among them.

    A setting that several variants of one axis have comes once for each of them.
    """
    for name, field in model.model_fields.items():
        here = (*path, name)
        inner = field.annotation
        if variants := variants_of(field):
            yield (*here, "type"), field
            for variant in variants:
                for below, one in known_settings(variant, here):
                    if below[-1] != "type" or len(below) > len(here) + 1:
                        yield below, one
        elif isinstance(inner, type) and issubclass(inner, Settings):
            yield from known_settings(inner, here)
        else:
            yield here, field


def flat(values: Mapping[str, Any], path: Path = ()) -> dict[Path, Any]:
    """The values of nested mappings by path, in their order."""
    result: dict[Path, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            result |= flat(cast(Mapping[str, Any], value), (*path, name))
        else:
            result[*path, name] = value
    return result


def differences(first: Recipe, second: Recipe) -> list[str]:
    """One line for each setting with two values, as in `inner.steps: 100 -> 50`.

    Neither where a local copy of the data lies nor how summaries are compared makes a difference to a run.
    """
    old, new = flat(first.model_dump()), flat(second.model_dump())
    return [
        f"{'.'.join(path)}: {shown(old.get(path))} -> {shown(new.get(path))}"
        for path in dict.fromkeys([*old, *new])
        if path != ("data", "file") and path[0] != "compare" and old.get(path) != new.get(path)
    ]


def nested(settings: Settings) -> dict[str, Any]:
    """The values of settings in nested dicts; variants of the user's are left as they are."""
    return {name: nested(value) if isinstance(value, Settings) else value for name, value in settings}


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above`, completed by `below`. A variant of another `type` replaces the one below as a whole."""
    result = dict(below)
    for name, value in above.items():
        former = result.get(name)
        kind = former.type if isinstance(former, Custom) else None
        if isinstance(former, Mapping):
            kind = former.get("type")
        if kind is not None and isinstance(value, str):
            value = {"type": value}
        if isinstance(former, Mapping | Custom) and isinstance(value, Mapping):
            if value.get("type", kind) != kind:
                result[name] = dict(value)
            elif isinstance(former, Custom):
                result[name] = former.changed({key: one for key, one in value.items() if key != "type"})
            else:
                result[name] = merged(former, value)
        else:
            result[name] = value
    return result


def changed(recipe: Recipe, changes: Mapping[str, Any]) -> Any:
    """See `Recipe.changed`."""
    values = nested(recipe)
    # outer settings first: a variant must be there before its settings
    for dotted, value in sorted(changes.items(), key=lambda change: _depth(change[0])):
        path = tuple(dotted.split("."))
        above: Any = nested(value) if isinstance(value, Settings) else value
        _check_known(values, path)
        for name in reversed(path):
            above = {name: above}
        values = merged(values, above)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise FarziError(message(error.errors()[0])) from None


def message(error: ErrorDetails) -> str:
    """One line for the first of pydantic's errors about a recipe."""
    path, model = location(error)
    if error["type"] == "extra_forbidden" and model is not None:
        return unknown_setting(path[-1], model, path[:-1])
    return explain(error, ".".join(path))


def _depth(path: str) -> int:
    """Groups above a setting; a `type` counts as the axis that it chooses for."""
    return path.removesuffix(".type").count(".")


def student_of_type(student: Any, type: str) -> dict[str, Any]:
    """The settings of a student of another type, with those of `student` that it has, too.

    Args:
        student: a variant.
        type: of the other one; a name that is not known is refused later, where the recipe is validated.
    """
    if type == student.type:
        return student.model_dump()
    model = model_of(Recipe.model_fields["student"], {"type": type})
    if model is None:
        return {"type": type}
    shared = {name: value for name, value in student.own.items() if name in model.model_fields}
    return {"type": type, **shared}


def parse_change(text: str) -> tuple[str, Any]:
    """A change as `inner.steps=200` gives it; the value is read as YAML.

    Raises:
        FarziError: there is no `=`, or the value is not YAML.
    """
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise FarziError(f"{shown(text)}: a setting is given as path=value, as in inner.steps=200")
    try:
        loader = Loader(value)
        node = loader.get_single_node()
        parsed = None if node is None else loader.construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise FarziError(f"{path}: the value {shown(value)} cannot be read as YAML") from None
    return path.strip(), tuple(parsed) if isinstance(parsed, list) else parsed


def _check_known(values: Any, path: Path) -> None:
    """Refuse a path that is no setting of the recipe's variants."""
    model: type[Settings] = Recipe
    for depth, name in enumerate(path):
        if name not in model.model_fields:
            raise FarziError(unknown_setting(name, model, path[:depth]))
        field = model.model_fields[name]
        values = values.get(name) if isinstance(values, Mapping) else None
        below = model_of(field, values)
        if below is None:
            return
        model = below


def model_of(field: FieldInfo, values: Any) -> type[Settings] | None:
    """The model of the settings inside a field; None for a plain setting, or where anything is allowed.

    Args:
        field: of a model.
        values: what the field holds: of an axis, their `type` decides.
    """
    if variants := variants_of(field):
        kind = values.get("type") if isinstance(values, Mapping) else values
        return next((one for one in variants if one.tag() == kind), None)
    inner = field.annotation
    return inner if isinstance(inner, type) and issubclass(inner, Settings) else None


def location(error: ErrorDetails) -> tuple[Path, type[Settings] | None]:
    """The path of the setting that an error is about, without list places and variants' types.

    Beside it the model that an unknown key was given to.
    """
    path: list[str] = []
    model: type[Settings] | None = Recipe
    parts = list(error["loc"])
    while parts and model is not None:
        name = str(parts.pop(0))
        path.append(name)
        field = model.model_fields.get(name)
        if field is None:
            break
        if parts and (element := element_of(field)):
            field, _ = element, parts.pop(0)
        kind = str(parts.pop(0)) if parts and variants_of(field) else None
        if parts:
            model = model_of(field, {"type": kind})
    return tuple(path), model


def unknown_setting(name: str, model: type[Settings], path: Path) -> str:
    """One line for a key that `model`, at `path`, does not have, with the nearest known ones."""
    everywhere = list(dict.fromkeys(known for known, _ in known_settings()))
    if tuple(name.split(".")) in everywhere:
        first, *rest = (f"'{one}:'" for one in name.split("."))
        lines = "lines, each indented further" if len(rest) > 1 else "line, indented"
        return f"unknown key {shown(name)}; write {first} and, on the next {lines}, {', '.join(rest)}"
    where = ".".join((*path, name))
    others = [one.tag() for one in _variants_at(path) if name in one.model_fields]
    if others and issubclass(model, Variant):
        have = f"{' and '.join(others)} {'has' if len(others) == 1 else 'have'}"
        return f"unknown key {where}: {model.tag()} has no {name}, only {have}; leave it out"
    near = _nearest(name, model, path, everywhere)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known here: {', '.join(model.model_fields)}"
    of = f" of {model.tag()}" if issubclass(model, Variant) else ""
    return f"unknown key {where}{of}; {hint}"


def _variants_at(path: Path) -> list[type[Variant]]:
    """The built-in variants of the axis at a path; empty if there is none."""
    models: list[type[Settings]] = [Recipe]
    for name in path:
        fields = [one.model_fields[name] for one in models if name in one.model_fields]
        models = [below for field in fields for below in _models_in(field)]
    return [one for one in models if issubclass(one, Variant)]


def _models_in(field: FieldInfo) -> tuple[type[Settings], ...]:
    inner, element = field.annotation, element_of(field)
    if isinstance(inner, type) and issubclass(inner, Settings):
        return (inner,)
    return variants_of(field if element is None else element)


def _nearest(name: str, model: type[Settings], path: Path, everywhere: list[Path]) -> list[str]:
    """The same name elsewhere, else a near one in this group, else near ones anywhere."""
    word = name.lower().replace("-", "_")
    here = [(*path, field) for field in model.model_fields]
    for candidates, wanted in (
        ([known for known in everywhere if known[:-1] != path], [word]),
        (here, difflib.get_close_matches(word, list(model.model_fields), n=1)),
        (everywhere, difflib.get_close_matches(word, [known[-1] for known in everywhere], n=1)),
    ):
        near = [".".join(known) for known in candidates if known[-1] in wanted]
        if near:
            return near
    return []
