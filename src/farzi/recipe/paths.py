"""Settings by their path, `("inner", "learning_rate")`, written `inner.learning_rate`."""

from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo

from farzi.recipe.models import Settings

Keys = tuple[str, ...]


def group_of(field: FieldInfo) -> type[Settings] | None:
    """The model of a field that is a group of settings; None for an ordinary setting."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Settings) else None


def groups(model: type[Settings], path: Keys = ()) -> Iterator[tuple[Keys, type[Settings]]]:
    """A model and the groups inside it, outermost first, each with its path."""
    yield path, model
    for name, field in model.model_fields.items():
        group = group_of(field)
        if group is not None:
            yield from groups(group, (*path, name))


def fields(model: type[Settings]) -> Iterator[tuple[Keys, FieldInfo]]:
    """Every ordinary setting of a model and of its groups, with its path, group after group."""
    for path, group in groups(model):
        for name, field in group.model_fields.items():
            if group_of(field) is None:
                yield (*path, name), field


def value_at(settings: Settings, path: Keys) -> Any:
    """The value of the setting at a path."""
    value: Any = settings
    for name in path:
        value = getattr(value, name)
    return value


def dotted(path: Keys) -> str:
    """A path as people write it."""
    return ".".join(path)
