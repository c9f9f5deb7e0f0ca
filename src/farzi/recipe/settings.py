"""What recipes are made of: frozen groups of settings, and axes on which one variant is chosen.

An *axis* (the optimizer, the initializer, ...) holds one *variant*: a `type` and that variant's own settings.

    optimizer: {type: adamw, learning_rate: 0.02}

A variant that is not built in is named by where it is defined, `type: "package.module:Class"`, or given from
Python as a class or as an object; nothing has to be registered. `build()` makes the object that a variant
names. Nothing is imported before that, so a recipe that somebody else wrote runs no code when it is read; and
a class is called only if it is of the axis' kind.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from inspect import signature
from pkgutil import resolve_name
from typing import Annotated, Any, ClassVar, Self, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    PrivateAttr,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from farzi.errors import FarziError

LARGEST = 2**63 - 1
"""The largest whole number: a seed of PyTorch's generators, or a size, cannot be larger."""


class Settings(BaseModel):
    """A frozen group of settings that refuses keys it does not know, and values that no file can hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        if lack := unstorable(value):
            raise ValueError(lack)
        return value


class Variant(Settings):
    """A built-in choice on an axis. A concrete one adds `type`, its settings, and `implementation`."""

    type: Any = ""  # its name in a recipe
    implementation: ClassVar[str] = ""  # "module:name" of what the settings are handed to, by name

    @classmethod
    def tag(cls) -> str:
        """The `type` that names it in a recipe."""
        return str(cls.model_fields["type"].default)

    @property
    def own(self) -> dict[str, Any]:
        """Its settings without `type`, by name."""
        return {name: value for name, value in self if name != "type"}

    def build(self, *args: Any, **extra: Any) -> Any:
        """The implementation, called with `args`, its settings, and `extra`, which win over settings."""
        return resolve_name(self.implementation)(*args, **{**self.own, **extra})


class Custom(BaseModel):
    """A variant that is defined outside this package, by its class and the settings for it.

    Its settings are plain values: numbers, text, true or false, null, and lists and groups of these.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str  # "package.module:Class"
    _target: Any = PrivateAttr(default=None)
    _axis: "Axis | None" = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _plain_settings(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {str(name): _plain(value, str(name)) for name, value in values.items()}

    @classmethod
    def of(cls, given: Any, **own: Any) -> Self:
        """The variant for a class with its settings, or for an object that knows its own.

        Args:
            given: a class; or an object of a dataclass or of a pydantic model, whose fields are its settings.
            own: settings for the class.

        Raises:
            ValueError: an object whose settings cannot be read, or are no plain values.
        """
        target = given if isinstance(given, type) else type(given)
        if target is not given:
            if is_dataclass(given):
                own = {one.name: getattr(given, one.name) for one in fields(given) if one.init}
            elif isinstance(given, BaseModel):
                own = dict(given)
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
        made = type(self)(**{**self.own, **settings, "type": self.type})
        made._target = self._target
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
        target = self._target
        if target is None:
            try:
                target = resolve_name(self.type)
            except (ImportError, AttributeError, ValueError) as error:
                raise FarziError(f"type {self.type}: cannot be imported: {error}") from error
        if not isinstance(target, type):
            raise FarziError(f"type {self.type}: is not a class")
        if self._axis is not None and (lack := self._axis.lack(target)):
            raise FarziError(f"type {self.type}: is no {self._axis.kind}: {lack}")
        try:
            return target(*args, **{**self.own, **extra})
        except TypeError as error:
            line = f"does not take these settings: {error}{self._known(target, len(args))}"
            raise FarziError(f"type {self.type}: {line}") from error

    def _known(self, target: Any, given: int) -> str:
        """The settings that a class takes after its first arguments, and the nearest to a wrong one."""
        try:
            names = list(signature(target).parameters)[given:]
        except (TypeError, ValueError):  # a class without a signature
            return ""
        unknown = [name for name in self.own if name not in names]
        near = get_close_matches(unknown[0], names, n=1) if unknown else []
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"{hint}; known here: {', '.join(names) or 'none'}"


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
                if not issubclass(target, resolve_name(need)):
                    return f"must be a subclass of {need.replace(':', '.')}"
            elif all(need not in vars(base) for base in target.__mro__):  # its metaclass has a __call__
                return f"must have a method {need}"
        return None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Choose the variant by its `type` first, so that errors are those of that variant alone."""
        choices: dict[Any, CoreSchema] = {
            one.tag(): handler.generate_schema(one) for one in get_args(source) if one is not Custom
        }
        known = list(choices)

        def placed(variant: Custom) -> Custom:
            variant = variant.model_copy()
            variant._axis = self
            return variant

        choices["custom"] = core_schema.no_info_after_validator_function(
            placed, handler.generate_schema(Custom)
        )

        def type_of(value: Any) -> Any:
            return value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)

        def tag(value: Any) -> str:
            return "custom" if ":" in type_of(value) else type_of(value)

        def variant(value: Any) -> Any:
            if isinstance(value, str):
                value = {"type": value}
            elif value is None or isinstance(value, bool | int | float | list | tuple):
                raise PydanticCustomError("variant", "unknown type", {"known": known, "given": value})
            elif not isinstance(value, Variant | Custom | Mapping):
                value = Custom.of(value)
            named = type_of(value)
            if not isinstance(named, str) or (":" not in named and named not in known):
                raise PydanticCustomError("variant", "unknown type", {"known": known, "given": named})
            return value

        return core_schema.no_info_before_validator_function(
            variant, core_schema.tagged_union_schema(choices, discriminator=tag)
        )


def unstorable(value: Any) -> str | None:
    """Why a recipe cannot hold a text or a whole number; None if it can, or if it is something else."""
    if isinstance(value, str) and re.search("[\\0\ud800-\udfff]", value):
        return "must be text without NUL and lone surrogates, which no file name or UTF-8 has"
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"must be a whole number of at most {LARGEST:,}"
    return None


def _plain(value: Any, name: str) -> Any:
    """A value as a recipe holds it: a number, text, a bool, None, a tuple or a dict of these."""
    if lack := unstorable(value):
        raise ValueError(f"{name} {lack}")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | str) or (isinstance(value, float) and math.isfinite(value)):
        return next(kind(value) for kind in (int, float, str) if isinstance(value, kind))
    if isinstance(value, list | tuple):
        return tuple(_plain(one, name) for one in value)
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, Mapping):
        return {str(key): _plain(one, str(key)) for key, one in value.items()}
    given = f"the number {value}" if isinstance(value, float) else f"a {type(value).__name__}"
    raise ValueError(f"{name} is {given}, which no recipe can hold")


def variants_of(field: FieldInfo) -> tuple[type[Variant], ...]:
    """The built-in variants of a field that is an axis; empty for any other field."""
    if not any(isinstance(one, Axis) for one in field.metadata):
        return ()
    return tuple(one for one in get_args(field.annotation) if one is not Custom)


def group_of(field: FieldInfo) -> type[Settings] | None:
    """The model of a field that is a group of settings; None for any other field."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Settings) else None


def element_of(field: FieldInfo) -> FieldInfo:
    """An element of a field that is a list of variants, as a field; any other field as it is."""
    for one in get_args(field.annotation):
        if get_origin(one) is Annotated and variants_of(element := FieldInfo.from_annotation(one)):
            return element
    return field
