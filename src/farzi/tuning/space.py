"""The space that a model search draws its settings from: parameters, and the recipe that has the rest."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from farzi.recipe import Recipe
from farzi.recipe.changes import student_of_type
from farzi.recipe.settings import variants_of

TWINS = {f"inner.optimizer.{name}": f"teach.optimizer.{name}" for name in ("learning_rate", "weight_decay")}
"""Settings of training on a summary, and those of training on real events that move with them."""
DROPOUT = "teach.dropout"
MISSING = object()


@dataclass(frozen=True)
class Parameter:
    """One setting and its values.

    Attributes:
        path: of the setting in the recipe.
        kind: "int", "float" or "choice".
        low: the smallest number; None for a choice.
        high: the largest number.
        log: whether numbers are drawn on a logarithmic scale.
        step: distance between two numbers; 1 for whole numbers and any for others if None.
        choices: the values of a choice.
        when: the students that it is drawn for; all that have the setting if empty.
    """

    path: str
    kind: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()
    when: tuple[str, ...] = ()

    def suggest(self, trial: Any) -> Any:
        """A value for an Optuna trial."""
        if self.kind == "choice":
            return trial.suggest_categorical(self.path, self.choices)
        if self.kind == "int":
            return trial.suggest_int(self.path, self.low, self.high, step=int(self.step or 1), log=self.log)
        return trial.suggest_float(self.path, self.low, self.high, step=self.step, log=self.log)

    def contains(self, value: Any) -> bool:
        """Whether the value can be drawn."""
        if self.kind == "choice":
            return any(value == one and type(value) is type(one) for one in self.choices)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        assert self.low is not None
        assert self.high is not None
        inside = self.low <= value <= self.high
        step = self.step or (1 if self.kind == "int" else None)
        place = 0.0 if step is None else (value - (self.low or 0)) / step
        return inside and math.isclose(place, round(place), abs_tol=1e-9)

    @property
    def ends(self) -> tuple[Any, ...]:
        """Values that are allowed only if all are."""
        return self.choices if self.kind == "choice" else (self.low, self.high)


@dataclass(frozen=True)
class Space:
    """Parameters, types first, and the recipe that has all other settings."""

    parameters: tuple[Parameter, ...]
    recipe: Recipe

    def facts(self) -> list[dict[str, Any]]:
        """The parameters as JSON values."""
        return [asdict(one) for one in self.parameters]

    def suggest(self, trial: Any) -> dict[str, Any]:
        """The settings of an Optuna trial, by path: those that its architecture has.

        A trial with the attribute `default` is the recipe's own setting: of its parameters only those are
        drawn, from the queue, whose value in the recipe is in the space.
        """
        if trial.user_attrs.get("default"):
            own = self.own()
            return {one.path: one.suggest(trial) for one in self.parameters if one.path in own}
        drawn: dict[str, Any] = {}
        for one in self.parameters:
            if self.belongs(one, self.changed(drawn)):
                drawn[one.path] = one.suggest(trial)
        return drawn

    def own(self) -> dict[str, Any]:
        """The recipe's own values, of the parameters that contain them."""
        values = {one.path: value_at(self.recipe, one.path) for one in self.parameters}
        return {
            one.path: values[one.path]
            for one in self.parameters
            if self.belongs(one, self.recipe) and one.contains(values[one.path])
        }

    def changes(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """All settings that follow from those drawn, by path.

        A rate or a decay on real events moves by the same factor as that on the summary, unless the space has
        both. Where the heads don't divide the width, there are as many as divide both.
        """
        changes = dict(drawn)
        if "student.type" in changes:
            changes["student"] = student_of_type(self.recipe.student, changes.pop("student.type"))
        if any(path.split(".")[0] == "student" for path in changes):
            changes["teach.model"] = None  # full-data models have the architecture, too
        for pair in TWINS.items():
            for one, other in (pair, pair[::-1]):
                own = value_at(self.recipe, one), value_at(self.recipe, other)
                if one in drawn and other not in drawn and all(own):
                    factor = drawn[one] / own[0]
                    changes[other] = own[1] if factor == 1 else own[1] * factor
        student = {**dict(self.recipe.student), **changes.get("student", {})}
        width = drawn.get("student.hidden", student.get("hidden"))
        heads = drawn.get("student.heads", student.get("heads"))
        kind = drawn.get("student.type", self.recipe.student.type)
        if heads and width and width % heads and ("student", "heads") in _of_student(kind):
            changes["student.heads"] = math.gcd(heads, width)
        return changes

    def changed(self, drawn: Mapping[str, Any]) -> Recipe:
        """The recipe with the settings drawn.

        Raises:
            FarziError: they don't fit each other.
        """
        return self.recipe.changed(self.changes(drawn)) if drawn else self.recipe

    def on_events(self) -> "Space":
        """The parameters that training on real events has."""
        kept = [one for one in self.parameters if not one.path.startswith("inner.") or one.path in TWINS]
        return replace(self, parameters=tuple(kept))

    def belongs(self, one: Parameter, recipe: Recipe) -> bool:
        """Whether a recipe's student has this setting, and is one that it is drawn for."""
        if one.when and recipe.student.type not in one.when:
            return False
        return MISSING is not value_at(recipe, one.path, MISSING)


def value_at(settings: Any, path: str, default: Any = None) -> Any:
    """The value of a setting by its path; `default` where a variant doesn't have it."""
    for name in path.split("."):
        settings = getattr(settings, name, default)
    return settings


def _of_student(kind: str) -> set[tuple[str, ...]]:
    variants = variants_of(Recipe.model_fields["student"])
    return {("student", name) for one in variants if one.tag() == kind for name in one.model_fields}
