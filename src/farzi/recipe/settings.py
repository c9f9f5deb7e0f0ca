"""What recipes are made of: frozen groups of settings, and axes on which one variant is chosen.

An *axis* (the optimizer, the initializer, ...) holds one *variant*: a `type` and that variant's own settings.

    optimizer: {type: adamw, learning_rate: 0.02}

A variant that is not built in is named by where it is defined, `type: "package.module:Class"`, or given from
Python as a class or as an object; nothing has to be registered. `build()` makes the object that a variant
names. Nothing is imported before that, so a recipe that somebody else wrote runs no code when it is read.
"""

import importlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, PrivateAttr
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from farzi.errors import FarziError


class Settings(BaseModel):
    """A frozen group of settings that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Variant(Settings):
    """A built-in choice on an axis. A concrete one adds `type`, its settings, and `implementation`.

    Attributes:
        type: its name in a recipe.
        implementation: "module:name" of what the settings are handed to, by name.
    """

    type: Any = ""
    implementation: ClassVar[str] = ""

    @classmethod
    def tag(cls) -> str:
        """The `type` that names it in a recipe."""
        return str(cls.model_fields["type"].default)

    @property
    def own(self) -> dict[str, Any]:
        """Its settings without `type`, by name."""
        return {name: getattr(self, name) for name in type(self).model_fields if name != "type"}

    def build(self, *args: Any, **extra: Any) -> Any:
        """The object that this variant names: its implementation, called with its settings.

        Args:
            args: passed on in front of the settings.
            extra: passed on beside the settings; they win over settings of the same name.
        """
        module, _, name = self.implementation.partition(":")
        return getattr(importlib.import_module(module), name)(*args, **{**self.own, **extra})


class Custom(BaseModel):
    """A variant that is defined outside this package, by its class and the settings for it.

    Attributes:
        type: "package.module:Class".
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str
    _target: Any = PrivateAttr(default=None)

    @classmethod
    def of(cls, given: Any, **own: Any) -> Self:
        """The variant for a class with its settings, or for an object that knows its own.

        Args:
            given: a class; or an object of a dataclass or of a pydantic model, whose fields are its settings.
            own: settings for the class.

        Raises:
            ValueError: an object whose settings cannot be read, so that no recipe could hold it.
        """
        target = given if isinstance(given, type) else type(given)
        if target is not given:
            if is_dataclass(given):
                own = {one.name: getattr(given, one.name) for one in fields(given) if one.init}
            elif isinstance(given, BaseModel):
                own = {name: getattr(given, name) for name in type(given).model_fields}
            else:
                raise ValueError(
                    f"{target.__name__} must be a dataclass or a pydantic model, whose fields are its settings, "
                    "or be given as a class; otherwise no recipe can hold it"
                )
        made = cls(type=f"{target.__module__}:{target.__qualname__}", **own)
        made._target = target
        return made

    @property
    def own(self) -> dict[str, Any]:
        """Its settings without `type`, by name."""
        return dict(self.model_extra or {})

    def __eq__(self, other: object) -> bool:
        """Whether the class and the settings are the same."""
        return isinstance(other, Custom) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.type)

    def build(self, *args: Any, **extra: Any) -> Any:
        """The object: the class, called with the settings.

        Raises:
            FarziError: the class cannot be imported, or does not take these settings.
        """
        target = self._target or self._imported()
        try:
            return target(*args, **{**self.own, **extra})
        except TypeError as error:
            raise FarziError(f"type {self.type}: does not take these settings: {error}") from error

    def _imported(self) -> Any:
        module, _, name = self.type.partition(":")
        try:
            target: Any = importlib.import_module(module)
            for part in name.split("."):
                target = getattr(target, part)
        except (ImportError, AttributeError, ValueError) as error:
            raise FarziError(f"type {self.type}: cannot be imported: {error}") from error
        if not isinstance(target, type):
            raise FarziError(f"type {self.type}: is not a class")
        return target


class Axis:
    """Marks a field as an axis, in `Annotated[First | Second | Custom, Axis()]`: one of several variants.

    The field takes a variant, a mapping with a `type`, a built-in variant's bare `type`, or, for a variant of
    the user's, a class or an object (`Custom.of`).
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Choose the variant by its `type` first, so that errors are those of that variant alone."""
        built_in = [one for one in get_args(source) if one is not Custom]
        choices: dict[Any, CoreSchema] = {one.tag(): handler.generate_schema(one) for one in built_in}
        choices["custom"] = handler.generate_schema(Custom)
        known = [one.tag() for one in built_in]

        def tag(value: Any) -> str:
            named = value["type"] if isinstance(value, Mapping) else value.type
            return "custom" if ":" in named else str(named)

        def variant(value: Any) -> Any:
            """What can be told apart by its type: a variant, or a mapping with one."""
            if isinstance(value, str):
                value = {"type": value}
            plain = value is None or isinstance(value, bool | int | float | list | tuple)
            if not plain and not isinstance(value, Variant | Custom | Mapping):
                value = Custom.of(value)
            named = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
            if not isinstance(named, str) or (":" not in named and named not in known):
                raise PydanticCustomError("variant", "unknown type", {"known": known, "given": named})
            return value

        return core_schema.no_info_before_validator_function(
            variant, core_schema.tagged_union_schema(choices, discriminator=tag)
        )


def variants_of(field: FieldInfo) -> tuple[type[Variant], ...]:
    """The built-in variants of a field that is an axis; empty for any other field."""
    if not any(isinstance(one, Axis) for one in field.metadata):
        return ()
    return tuple(one for one in get_args(field.annotation) if one is not Custom)
