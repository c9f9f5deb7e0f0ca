"""What recipes are made of: frozen groups of settings, and axes on which one variant is chosen.

An *axis* (the optimizer, the initializer, ...) holds one *variant*: a `type` and that variant's own settings.

    optimizer: {type: adamw, learning_rate: 0.02}

A variant that is not built in is named by where it is defined, `type: "package.module:Class"`, or given from
Python as a class or as an object; nothing has to be registered. `build()` makes the object that a variant
names. Nothing is imported before that, so a recipe that somebody else wrote runs no code when it is read; and
a class is called only if it is of the axis' kind.
"""

import importlib
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, ClassVar, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, PrivateAttr, model_validator
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
        return imported(self.implementation)(*args, **{**self.own, **extra})


class Custom(BaseModel):
    """A variant that is defined outside this package, by its class and the settings for it.

    Its settings are plain values: numbers, text, true or false, null, and lists and groups of these.

    Attributes:
        type: "package.module:Class".
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str
    _target: Any = PrivateAttr(default=None)
    _axis: "Axis | None" = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _plain_settings(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {str(name): plain(value, str(name)) for name, value in values.items()}

    @classmethod
    def of(cls, given: Any, **own: Any) -> Self:
        """The variant for a class with its settings, or for an object that knows its own.

        Args:
            given: a class; or an object of a dataclass or of a pydantic model, whose fields are its settings.
            own: settings for the class.

        Raises:
            ValueError: an object whose settings cannot be read, or are no plain values, so that no recipe
                could hold it.
        """
        target = given if isinstance(given, type) else type(given)
        if target is not given:
            if is_dataclass(given):
                own = {one.name: getattr(given, one.name) for one in fields(given) if one.init}
            elif isinstance(given, BaseModel):
                own = {name: getattr(given, name) for name in type(given).model_fields}
            else:
                raise ValueError(
                    f"{target.__name__} must be a dataclass or a pydantic model, whose fields are its "
                    "settings, or be given as a class; otherwise no recipe can hold it"
                )
        made = cls(type=f"{target.__module__}:{target.__qualname__}", **own)
        made._target = target
        return made

    @property
    def own(self) -> dict[str, Any]:
        """Its settings without `type`, by name."""
        return dict(self.model_extra or {})

    def changed(self, settings: Mapping[str, Any]) -> Self:
        """The same class with other values for some settings."""
        made = type(self)(type=self.type, **{**self.own, **settings})
        made._target = self._target
        return made

    def on(self, axis: "Axis") -> Self:
        """The same as a choice on an axis, whose kind its class must be of."""
        made = self.changed({})
        made._axis = axis
        return made

    def __eq__(self, other: object) -> bool:
        """Whether the class and the settings are the same."""
        return isinstance(other, Custom) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.type)

    def build(self, *args: Any, **extra: Any) -> Any:
        """The object: the class, called with the settings.

        Raises:
            FarziError: the class cannot be imported, is not of the axis' kind, or does not take these
                settings.
        """
        target = self._target or self._imported()
        if self._axis is not None and (lack := self._axis.lack(target)):
            raise FarziError(f"type {self.type}: is no {self._axis.kind}: {lack}")
        try:
            return target(*args, **{**self.own, **extra})
        except TypeError as error:
            raise FarziError(f"type {self.type}: does not take these settings: {error}") from error

    def _imported(self) -> Any:
        try:
            target = imported(self.type)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise FarziError(f"type {self.type}: cannot be imported: {error}") from error
        if not isinstance(target, type):
            raise FarziError(f"type {self.type}: is not a class")
        return target


class Axis:
    """Marks a field as an axis, in `Annotated[First | Second | Custom, Axis(...)]`: one of several variants.

    The field takes a variant, a mapping with a `type`, a built-in variant's bare `type`, or, for a variant of
    the user's, a class or an object (`Custom.of`).

    Args:
        kind: what its variants are, for messages.
        needs: what the class of a user's variant must have: the names of methods, or base classes as
            "module:Class".
    """

    def __init__(self, kind: str, *needs: str) -> None:
        self.kind, self.needs = kind, needs

    def lack(self, target: type) -> str | None:
        """What a class lacks to be of this kind; None if nothing. The class is not called."""
        for need in self.needs:
            if ":" in need:
                if not issubclass(target, imported(need)):
                    return f"must be a subclass of {need.replace(':', '.')}"
            elif not any(
                need in vars(base) for base in target.__mro__
            ):  # every class has its metaclass' __call__
                return f"must have a method {need}"
        return None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Choose the variant by its `type` first, so that errors are those of that variant alone."""
        built_in = [one for one in get_args(source) if one is not Custom]
        choices: dict[Any, CoreSchema] = {one.tag(): handler.generate_schema(one) for one in built_in}
        choices["custom"] = core_schema.no_info_after_validator_function(
            lambda one: one.on(self), handler.generate_schema(Custom)
        )
        known = [one.tag() for one in built_in]

        def tag(value: Any) -> str:
            named = value["type"] if isinstance(value, Mapping) else value.type
            return "custom" if ":" in named else str(named)

        def variant(value: Any) -> Any:
            """What can be told apart by its type: a variant, or a mapping with one."""
            if isinstance(value, str):
                value = {"type": value}
            no_variant = value is None or isinstance(value, bool | int | float | list | tuple)
            if not no_variant and not isinstance(value, Variant | Custom | Mapping):
                value = Custom.of(value)
            named = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
            if not isinstance(named, str) or (":" not in named and named not in known):
                given = value if no_variant else named
                raise PydanticCustomError("variant", "unknown type", {"known": known, "given": given})
            return value

        return core_schema.no_info_before_validator_function(
            variant, core_schema.tagged_union_schema(choices, discriminator=tag)
        )


def imported(name: str) -> Any:
    """What "module:Name" names; `Name` may have dots.

    Raises:
        ImportError, TypeError, ValueError: there is no such module.
        AttributeError: there is no such name in it.
    """
    module, _, path = name.partition(":")
    target: Any = importlib.import_module(module)
    for part in path.split("."):
        target = getattr(target, part)
    return target


def plain(value: Any, name: str) -> Any:
    """A value as a recipe holds it: a number, text, a bool, None, a tuple or a dict of these.

    Args:
        value: what is given; lists become tuples, groups of settings dicts.
        name: of the setting, for the message.

    Raises:
        ValueError: it is something else.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | str) or (isinstance(value, float) and math.isfinite(value)):
        return next(kind(value) for kind in (int, float, str) if isinstance(value, kind))
    if isinstance(value, list | tuple):
        return tuple(plain(one, name) for one in value)
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, Mapping):
        return {str(key): plain(one, str(key)) for key, one in value.items()}
    given = f"the number {value}" if isinstance(value, float) else f"a {type(value).__name__}"
    raise ValueError(f"{name} is {given}, which no recipe can hold")


def variants_of(field: FieldInfo) -> tuple[type[Variant], ...]:
    """The built-in variants of a field that is an axis; empty for any other field."""
    if not any(isinstance(one, Axis) for one in field.metadata):
        return ()
    return tuple(one for one in get_args(field.annotation) if one is not Custom)


def element_of(field: FieldInfo) -> FieldInfo | None:
    """An element of a field that is a list of variants, as a field; None for any other field."""
    for one in get_args(field.annotation):
        element = FieldInfo.from_annotation(one) if get_origin(one) is Annotated else None
        if element is not None and variants_of(element):
            return element
    return None
