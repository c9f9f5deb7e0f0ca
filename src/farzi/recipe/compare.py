"""What two recipes do not agree on."""

from farzi.recipe.models import Recipe
from farzi.recipe.paths import dotted, fields, value_at
from farzi.recipe.wording import shown


def differences(first: Recipe, second: Recipe) -> list[str]:
    """One line for each setting with two values, as in `inner.steps: 100 -> 50`, group after group.

    Where a copy of the data lies is no difference: it says nothing about what is in it.
    """
    lines = []
    for path, _ in fields(Recipe):
        if path == ("data", "file"):
            continue
        old, new = value_at(first, path), value_at(second, path)
        if old != new:
            lines.append(f"{dotted(path)}: {shown(old)} -> {shown(new)}")
    return lines
