"""Recipes from YAML: every error becomes one line that says where it is, what it is and what is near.

The text is read into PyYAML's nodes, which know their line and column. Then the values are merged into those
of a preset and validated as a whole, and each of pydantic's errors finds its place again by its path.

What a file leaves out comes from the preset that its key `preset` names; without that key from the preset of
its data's type, `log` or `text`.
"""

import itertools
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from farzi.errors import FarziError
from farzi.recipe.changes import merged
from farzi.recipe.dialect import Loader
from farzi.recipe.explain import did_you_mean, location, message, shown
from farzi.recipe.presets import PRESETS
from farzi.recipe.recipe import Recipe

Keys = tuple[str, ...]

DEEPEST, LARGEST = 50, 100_000  # levels and values of a recipe
DEEP = "nested too deeply for a recipe"


def load_recipe(path: str | Path, preset: str = "log") -> Recipe:
    """See `Recipe.load`; `preset` completes a file that names neither a preset nor its data's type."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FarziError(f"{path}: the recipe cannot be read: {error.strerror}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse_at(str(path), data[: error.start].decode("utf-8", "replace"), "not UTF-8 text")
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
    document = _Document(text, origin)
    if document.values is None:
        return PRESETS[preset]
    try:
        return Recipe.model_validate(document.completed(preset), strict=True)
    except ValidationError as error:
        document.refuse_error(error.errors()[0])


class _Document:
    """The values of one text, and their places by path, for the errors that are noticed later."""

    def __init__(self, text: str, origin: str) -> None:
        self.origin, self.loader = origin, Loader("")
        self.keys: dict[Keys, yaml.Mark] = {}
        self.places: dict[Keys, yaml.Mark] = {}
        try:
            self.loader = Loader(text)
            root = self.loader.get_single_node()
            self._check_size(root)
            self.values = None if root is None else self._value(root, ())
        except yaml.reader.ReaderError as error:
            character = chr(error.character)
            what = f"the character U+{error.character:04X} is not allowed in YAML"
            _refuse_at(origin, text[: text.find(character)], what)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._refuse(mark, f"not YAML: {error.problem or error.context}")
        except RecursionError:
            self._refuse(self.loader.get_mark(), DEEP)

    def completed(self, preset: str) -> Any:
        """The values, completed by those of the preset that the text builds on."""
        if not isinstance(self.values, dict):
            return self.values
        data = self.values.get("data")
        kind = data.get("type") if isinstance(data, dict) else data
        name = self.values.pop("preset", None) or (kind if kind in ("log", "text") else preset)
        if not isinstance(name, str) or name not in PRESETS:
            known = f"one of {', '.join(PRESETS)}"
            line = f"preset must be {known}, not {shown(name)}{did_you_mean(name, PRESETS)}"
            self._refuse(self.places["preset",], line)
        return merged(PRESETS[name].model_dump(), self.values)

    def refuse_error(self, error: ErrorDetails) -> NoReturn:
        """Refuse the text for one of pydantic's errors, at the setting that it is about."""
        path, *_ = location(error)
        if error["type"] == "extra_forbidden" and path in self.keys:
            self._refuse(self.keys[path], message(error))
        if error["type"] == "variant":
            path = (*path, "type")
        while path not in self.places:  # a part of a value stands where the value does
            path = path[:-1]
        self._refuse(self.places[path], message(error))

    def _check_size(self, root: yaml.Node | None) -> None:
        """Refuse a text that is too deep, or too large or endless once its aliases are replaced."""
        nodes, count = [] if root is None else [(root, 0)], 0
        while nodes:
            (node, depth), count = nodes.pop(), count + 1
            if depth > DEEPEST:
                self._refuse(node.start_mark, DEEP)
            if count > LARGEST:
                self._refuse(node.start_mark, f"a recipe has at most {LARGEST:,} values, aliases replaced")
            parts = node.value if isinstance(node, yaml.CollectionNode) else ()
            pairs = itertools.chain(*parts) if isinstance(node, yaml.MappingNode) else parts
            nodes.extend((part, depth + 1) for part in pairs)

    def _value(self, node: yaml.Node, path: Keys) -> Any:
        name = ".".join(path)
        self.places[path] = node.start_mark
        if not isinstance(node, yaml.MappingNode):
            try:
                value = self.loader.construct_object(node, deep=True)
            except (yaml.constructor.ConstructorError, ValueError, KeyError, AttributeError, TypeError):
                # another program's tag, a huge number, a tag that the value does not fit
                self._refuse(node.start_mark, f"the value of {name} cannot be read")
            return tuple(value) if isinstance(value, list) else value
        values: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key.start_mark, f"a key of {name or 'the recipe'} must be a name")
            here = (*path, key.value)
            if here in self.keys:
                line = self.keys[here].line + 1
                self._refuse(key.start_mark, f"{'.'.join(here)} is set twice, on line {line} already")
            self.keys[here] = key.start_mark
            values[key.value] = self._value(value, here)
        return values

    def _refuse(self, mark: yaml.Mark | None, message: str) -> NoReturn:
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise FarziError(f"{self.origin}:{line}:{column}: {message}") from None


def _refuse_at(origin: str, before: str, message: str) -> NoReturn:
    """Refuse a text that is wrong after the characters `before`."""
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    raise FarziError(f"{origin}:{line}:{column}: {message}") from None
