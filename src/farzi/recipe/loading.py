"""Recipes from YAML: every error becomes one line that says where it is, what it is and what is near.

The text is read into PyYAML's nodes, which know their line and column, and walked along the models; only then
are the values built and validated, so that each of pydantic's errors finds its place again by its path.

What a file leaves out comes from the preset that its key `preset` names; without that key from the preset of
its data's type, `log` or `text`.
"""

from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError

from farzi.errors import FarziError
from farzi.recipe.changes import location, merged, message, model_of, unknown_setting
from farzi.recipe.dialect import Loader
from farzi.recipe.explain import did_you_mean, shown
from farzi.recipe.presets import PRESETS
from farzi.recipe.recipe import Recipe
from farzi.recipe.settings import Settings, variants_of

Keys = tuple[str, ...]


def load_recipe(path: str | Path, preset: str = "log") -> Recipe:
    """See `Recipe.load`; `preset` completes a file that names neither a preset nor its data's type."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FarziError(f"{path}: the recipe cannot be read: {error.strerror}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        _refuse(str(path), *_line_column(before, len(before)), "not UTF-8 text")
    return parse_recipe(text, str(path), preset)


def parse_recipe(text: str, origin: str, preset: str = "log") -> Recipe:
    """The recipe in a YAML text.

    Args:
        text: the YAML.
        origin: the name that errors are reported under.
        preset: what completes a text that names neither a preset nor its data's type.

    Raises:
        FarziError: YAML that cannot be read, an unknown or repeated key, a value of the wrong kind or out of
            range.
    """
    return _Document(text, origin, preset).recipe()


class _Document:
    """One text while it is read: its places by path, for the errors that are noticed later."""

    def __init__(self, text: str, origin: str, preset: str) -> None:
        self.origin, self.preset = origin, preset
        self.places: dict[Keys, yaml.Mark] = {}
        try:
            self.loader = Loader(text)
            self.root = self.loader.get_single_node()
        except yaml.reader.ReaderError as error:
            line, column = _line_column(text, text.find(chr(error.character)))
            _refuse(origin, line, column, f"the character U+{error.character:04X} is not allowed in YAML")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            _refuse(origin, line, column, f"not YAML: {error.problem or error.context}")
        except RecursionError:
            _refuse(origin, 1, 1, "nested too deeply for a recipe")

    def recipe(self) -> Recipe:
        if self.root is None:
            return PRESETS[self.preset]
        base = self._preset()
        values = self._group(self.root, Recipe, base, ())
        try:
            return Recipe.model_validate(merged(base, values), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            path, _ = location(first)
            if first["type"] == "variant":
                path = (*path, "type")
            while path and path not in self.places:  # a part of a value stands where the value does
                path = path[:-1]
            self._refuse(self.places[path], message(first))

    def _preset(self) -> dict[str, Any]:
        """The values of the preset that the text builds on."""
        name = self._scalar_at(self.root, "preset")
        if name is not None:
            if name.value not in PRESETS:
                known = list(PRESETS)
                self._refuse(
                    name.start_mark,
                    f"preset must be one of {', '.join(known)}, not {shown(name.value)}"
                    f"{did_you_mean(name.value, known)}",
                )
            return PRESETS[name.value].model_dump()
        data = next((value for key, value in _pairs(self.root) if key.value == "data"), None)
        kind = self._scalar_at(data, "type") or data
        named = kind.value if isinstance(kind, yaml.ScalarNode) else None
        return PRESETS[named if named in ("log", "text") else self.preset].model_dump()

    @staticmethod
    def _scalar_at(node: yaml.Node | None, name: str) -> yaml.ScalarNode | None:
        for key, value in _pairs(node):
            if key.value == name and isinstance(value, yaml.ScalarNode):
                return value
        return None

    def _group(self, node: yaml.Node, model: type[Settings], base: Any, path: Keys) -> dict[str, Any]:
        """The values under one mapping, its groups included; keys are checked here, values later."""
        self.places[path] = node.start_mark
        if node.tag == "tag:yaml.org,2002:null":  # a heading with everything below it commented out
            return {}
        if not isinstance(node, yaml.MappingNode):
            known = ", ".join(model.model_fields)
            self._refuse(
                node.start_mark, f"{'.'.join(path) or 'a recipe'} must be a group of settings ({known})"
            )
        values: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None:
                self._refuse(key.start_mark, f"a key of {'.'.join(path) or 'the recipe'} must be a name")
            if name == "preset" and not path:
                continue
            if name not in model.model_fields:
                self._refuse(key.start_mark, unknown_setting(name, model, path))
            if name in values:
                where = self.places[(*path, name)].line + 1
                self._refuse(
                    key.start_mark, f"{'.'.join((*path, name))} is set twice, on line {where} already"
                )
            values[name] = self._setting(value, model.model_fields[name], base.get(name), (*path, name))
        return values

    def _setting(self, node: yaml.Node, field: Any, base: Any, path: Keys) -> Any:
        base = base if isinstance(base, dict) else {}
        kind = base.get("type")
        if variants_of(field):
            if isinstance(node, yaml.ScalarNode) and node.tag != "tag:yaml.org,2002:null":
                return self._value(node, path)
            given = self._scalar_at(node, "type")
            if given is not None and given.value != kind:
                kind, base = given.value, {}
        group = model_of(field, {"type": kind})
        if group is None:
            return self._value(node, path)
        return self._group(node, group, base, path)

    def _value(self, node: yaml.Node, path: Keys) -> Any:
        self.places[path] = node.start_mark
        for key, value in _pairs(node):
            self.places[(*path, str(key.value))] = value.start_mark
        try:
            value = self.loader.construct_object(node, deep=True)
        except (yaml.constructor.ConstructorError, ValueError):  # another program's tag, a 5,000-digit number
            self._refuse(node.start_mark, f"the value of {'.'.join(path)} cannot be read")
        return tuple(value) if isinstance(value, list) else value

    def _refuse(self, mark: yaml.Mark, message: str) -> NoReturn:
        _refuse(self.origin, mark.line + 1, mark.column + 1, message)


def _pairs(node: yaml.Node | None) -> list[tuple[yaml.Node, yaml.Node]]:
    return node.value if isinstance(node, yaml.MappingNode) else []


def _refuse(origin: str, line: int, column: int, message: str) -> NoReturn:
    raise FarziError(f"{origin}:{line}:{column}: {message}") from None


def _line_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - before.rfind("\n")
