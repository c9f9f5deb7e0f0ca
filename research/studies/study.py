"""What a study is: a question, the rows that would answer it, and what they say once they are there."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel

from farzi.evaluation import Effort
from farzi.recipe import DataSettings, Recipe
from research.studies.bench import Bench, Source
from research.studies.findings import Findings
from research.studies.rows import Done


class Repeat(NamedTuple):
    """One of a row's repetitions.

    Attributes:
        number: of the repetition, from 0; the student's first weights follow from it.
        summary: of the summary used, from 0; a distillation's seed follows from it.
    """

    number: int
    summary: int


class Ask(NamedTuple):
    """A recipe and where its data come from, if not from `recipe.data`."""

    recipe: Recipe
    source: Source | None = None


@dataclass(frozen=True)
class Demand:
    """What a row takes, for the cost beforehand.

    Attributes:
        distil: recipes whose summaries it needs, as many of each as the row has.
        real: trainings on real events, for each repetition.
        tuning: the same, to choose a learning rate: once for all repetitions.
    """

    distil: tuple[Ask, ...] = ()
    real: tuple[Ask, ...] = ()
    tuning: tuple[Ask, ...] = ()

    def __add__(self, other: "Demand") -> "Demand":
        distil = tuple(dict.fromkeys((*self.distil, *other.distil)))
        return Demand(distil, (*self.real, *other.real), (*self.tuning, *other.tuning))


class Work(Protocol):
    """What gives a row its figures: a frozen dataclass, from which all but the machine's speed follows."""

    def __call__(self, bench: Bench, repeat: Repeat) -> dict[str, float]:
        """The figures of a repetition by name; shares between 0 and 1, times in seconds."""
        ...

    @property
    def demand(self) -> Demand:
        """What it takes."""
        ...


@runtime_checkable
class Bearing(Protocol):
    """A part of a row's work that holds more than what has a bearing on its figures."""

    @property
    def bearing(self) -> Mapping[str, Any]:
        """What has, by name."""
        ...


@dataclass(frozen=True)
class Row:
    """Something to be measured by itself.

    Attributes:
        key: its name in the study; letters, digits, dots and dashes.
        labels: what tells it from the others.
        work: gives its figures.
        seeds: repetitions, each with other first weights.
        summaries: distillations, each from a seed of its own, that the repetitions take in turn.
    """

    key: str
    labels: Mapping[str, Any]
    work: Work
    seeds: int
    summaries: int

    def repeats(self) -> tuple[Repeat, ...]:
        """Its repetitions."""
        return tuple(Repeat(k, k % self.summaries) for k in range(self.seeds))

    def values(self, brief: bool = False) -> dict[str, Any]:
        """Everything that its figures depend on, as JSON values.

        Args:
            brief: leave out settings of recipes that have their default.
        """
        return {
            "seeds": self.seeds,
            "summaries": self.summaries,
            "work": values_of(self.work, brief),
        }


@dataclass(frozen=True)
class Setting:
    """What a study's grid is made around.

    Attributes:
        recipe: the one that rows vary.
        seeds: repetitions of a row.
        summaries: distillations of a row.
        effort: how trainings on real events are done and tuned.
    """

    recipe: Recipe
    seeds: int = 3
    summaries: int = 1
    effort: Effort = field(default_factory=Effort)

    def row(self, key: str, labels: Mapping[str, Any], work: Work) -> Row:
        """A row of as many repetitions as this setting has."""
        return Row(key, labels, work, self.seeds, self.summaries)


@dataclass(frozen=True)
class Study:
    """A question and how it is answered.

    Attributes:
        name: what `python -m research` knows it by.
        question: in a sentence.
        grid: the rows that it wants.
        tell: what some of these rows, in the grid's order, say.
        source: the data set that is taken if none is named.
        seeds: repetitions of a row, if nothing else is said.
        summaries: distillations of a row, if nothing else is said.
    """

    name: str
    question: str
    grid: Callable[[Setting], Sequence[Row]]
    tell: Callable[[Sequence[Done]], Findings]
    source: str = "ml-100k"
    seeds: int = 3
    summaries: int = 1


def values_of(value: Any, brief: bool = False) -> Any:
    """A nested value as JSON: dataclasses with their kind, recipes as groups of settings.

    Where a copy of the data lies is left out: it says nothing about what is in it. So is what has no bearing
    on a row's figures (`Bearing`).

    Args:
        value: dataclasses, settings, sequences, mappings, numbers and words.
        brief: leave out settings and fields that have their default.
    """
    if isinstance(value, BaseModel):
        dumped = value.model_dump(mode="json", exclude_defaults=brief)
        data = dumped.get("data", {}) if isinstance(value, Recipe) else dumped
        if isinstance(value, Recipe | DataSettings):
            data.pop("file", None)
        return dumped
    if isinstance(value, Bearing):
        return {"kind": type(value).__name__} | values_of(value.bearing, brief)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {
            one.name: values_of(getattr(value, one.name), brief)
            for one in dataclasses.fields(value)
            if not (brief and getattr(value, one.name) == _default(one))
        }
        return {"kind": type(value).__name__} | named
    if isinstance(value, Mapping):
        return {str(name): values_of(one, brief) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [values_of(one, brief) for one in value]
    return value


def _default(field: dataclasses.Field[Any]) -> Any:
    """A field's default; MISSING, which equals nothing, where it has none."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def same_values(recorded: Any, whole: Any, brief: Any) -> bool:
    """Whether recorded values are today's, but for settings that came later and have their default.

    Args:
        recorded: `Row.values()` then.
        whole: the same now.
        brief: the same now, without what has its default.
    """
    if isinstance(recorded, dict) and isinstance(whole, dict):
        return (
            isinstance(brief, dict)
            and set(brief) <= set(recorded) <= set(whole)
            and all(same_values(recorded[name], whole[name], brief.get(name, {})) for name in recorded)
        )
    if isinstance(recorded, list) and isinstance(whole, list):
        parts = brief if isinstance(brief, list) else [{}] * len(whole)
        return len(recorded) == len(whole) and all(map(same_values, recorded, whole, parts))
    return recorded == whole
