"""Recipes from YAML: every mistake becomes one line that says where it is, what it is and what is near.

The text is read into PyYAML's nodes, which know their line and column, and walked along the models; only then
are the values built and validated, so that each of pydantic's errors finds its place again by its path.
"""

from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError

from farzi.errors import FarziError
from farzi.recipe.dialect import Loader
from farzi.recipe.models import Recipe, Settings
from farzi.recipe.paths import Keys, dotted, group_of
from farzi.recipe.unknown import explain_unknown
from farzi.recipe.wording import explain


def load_recipe(path: str | Path) -> Recipe:
    """The recipe in a YAML file; what the file leaves out has its default.

    Raises:
        FarziError: the file cannot be read, or holds a mistake; the line names `file:line:column`.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FarziError(f"{path}: the recipe cannot be read: {error.strerror}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        _refuse(str(path), *_line_column(before, len(before)), "not UTF-8 text")
    return parse_recipe(text, str(path))


def parse_recipe(text: str, origin: str) -> Recipe:
    """The recipe in a YAML text; `origin` is the name that mistakes are reported under.

    Raises:
        FarziError: YAML that cannot be read, an unknown or repeated key, a value of the wrong kind or out of
            range.
    """
    return _Document(text, origin).recipe()


class _Document:
    """One text while it is read: its places by path, for the mistakes found later."""

    def __init__(self, text: str, origin: str) -> None:
        self.origin = origin
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
        values = {} if self.root is None else self._group(self.root, Recipe, ())
        try:
            return Recipe.model_validate(values, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            path = tuple(str(part) for part in first["loc"])
            while path and path not in self.places:  # a part of a value stands where the value does
                path = path[:-1]
            self._refuse(self.places[path], explain(first, dotted(path) or "the recipe"))

    def _group(self, node: yaml.Node, model: type[Settings], path: Keys) -> dict[str, Any]:
        """The values under one mapping, its groups included; keys are checked here, values later."""
        self.places[path] = node.start_mark
        if node.tag == "tag:yaml.org,2002:null":  # a heading with everything below it commented out
            return {}
        if not isinstance(node, yaml.MappingNode):
            known = ", ".join(model.model_fields)
            self._refuse(
                node.start_mark, f"{dotted(path) or 'a recipe'} must be a group of settings ({known})"
            )
        values: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None:
                self._refuse(key.start_mark, f"a key of {dotted(path) or 'the recipe'} must be a name")
            if name not in model.model_fields:
                self._refuse(key.start_mark, explain_unknown(name, model, path))
            if name in values:
                where = self.places[(*path, name)].line + 1
                self._refuse(key.start_mark, f"{dotted((*path, name))} is set twice, on line {where} already")
            group = group_of(model.model_fields[name])
            if group is None:
                self.places[(*path, name)] = value.start_mark
                values[name] = self._value(value, (*path, name))
            else:
                values[name] = self._group(value, group, (*path, name))
        return values

    def _value(self, node: yaml.Node, path: Keys) -> Any:
        try:
            value = self.loader.construct_object(node, deep=True)
        except (
            yaml.constructor.ConstructorError,
            ValueError,
        ):  # a tag of some other program, a 5,000-digit number
            self._refuse(node.start_mark, f"the value of {dotted(path)} cannot be read")
        return tuple(value) if isinstance(value, list) else value

    def _refuse(self, mark: yaml.Mark, message: str) -> NoReturn:
        _refuse(self.origin, mark.line + 1, mark.column + 1, message)


def _refuse(origin: str, line: int, column: int, message: str) -> NoReturn:
    raise FarziError(f"{origin}:{line}:{column}: {message}") from None


def _line_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - before.rfind("\n")
