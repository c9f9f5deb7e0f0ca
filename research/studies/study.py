"""A study: a question, the rows that answer it, and the conclusions drawn from measured rows."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel

from farzi.recipe import Recipe
from farzi.recipe.variants import LogData, TextData
from research.studies.bench import WITHOUT_BEARING, Bench, Source
from research.studies.findings import Findings
from research.studies.rows import Done


class Repeat(NamedTuple):
    """One of a row's repetitions.

    Attributes:
        number: the repetition's, from 0; it seeds the student's first weights.
        summary: the number of the summary used, from 0; it seeds the distillation.
    """

    number: int
    summary: int


class Job(NamedTuple):
    """A recipe and where its data come from, if not from `recipe.data`."""

    recipe: Recipe
    source: Source | None = None


@dataclass(frozen=True)
class Demand:
    """What a row needs, from which its cost is planned.

    Attributes:
        distil: recipes whose summaries it needs, `Row.summaries` of each.
        real: trainings on real events of each repetition.
        tuning: trainings on real events that choose a learning rate, once for all repetitions.
    """

    distil: tuple[Job, ...] = ()
    real: tuple[Job, ...] = ()
    tuning: tuple[Job, ...] = ()

    def __add__(self, other: "Demand") -> "Demand":
        distil = tuple(dict.fromkeys((*self.distil, *other.distil)))
        return Demand(distil, (*self.real, *other.real), (*self.tuning, *other.tuning))


class Work(Protocol):
    """Measures a row's figures: a frozen dataclass that determines all but the machine's speed."""

    def __call__(self, bench: Bench, repeat: Repeat) -> dict[str, float]:
        """The figures of a repetition by name; shares between 0 and 1, times in seconds."""
        ...

    @property
    def demand(self) -> Demand:
        """What it needs."""
        ...


@runtime_checkable
class Bearing(Protocol):
    """A part of a row's work of which not everything affects the row's figures."""

    @property
    def bearing(self) -> Mapping[str, Any]:
        """What does affect them, by name."""
        ...


@dataclass(frozen=True)
class Row:
    """One line of a study's grid, measured by itself.

    Attributes:
        key: its name in the study; letters, digits, dots and dashes.
        labels: its values of what the study varies.
        work: measures its figures.
        seeds: repetitions, each with other first weights.
        summaries: distillations with different seeds, which the repetitions use in turn.
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
            brief: leave out settings that have their default.
        """
        return {
            "seeds": self.seeds,
            "summaries": self.summaries,
            "work": values_of(self.work, brief),
        }


@dataclass(frozen=True)
class Setting:
    """The values from which a study's grid is built.

    Attributes:
        recipe: the one that rows vary; its `teach` says how models are trained on real events.
        seeds: repetitions of each row.
        summaries: distillations of each row.
    """

    recipe: Recipe
    seeds: int = 3
    summaries: int = 1

    def row(self, key: str, labels: Mapping[str, Any], work: Work) -> Row:
        """A row with this setting's numbers of repetitions and distillations."""
        return Row(key, labels, work, self.seeds, self.summaries)


@dataclass(frozen=True)
class Study:
    """A question and how it is answered.

    Attributes:
        name: its name in `python -m research NAME`.
        question: one sentence.
        grid: gives the rows for a setting.
        conclude: draws conclusions from any of these rows, given in the grid's order.
        source: the data set used if none is named.
        seeds: repetitions of each row, if no number is given.
        summaries: distillations of each row, if no number is given.
    """

    name: str
    question: str
    grid: Callable[[Setting], Sequence[Row]]
    conclude: Callable[[Sequence[Done]], Findings]
    source: str = "ml-100k"
    seeds: int = 3
    summaries: int = 1


def values_of(value: Any, brief: bool = False) -> Any:
    """A nested value as JSON: dataclasses with their kind, recipes as groups of settings.

    Left out is what does not affect a row's figures: the path of a local copy of the data, how summaries are
    compared, what is tuned in trainings on real events that only teach, and what `Bearing` leaves out.

    Args:
        value: dataclasses, settings, sequences, mappings, numbers and words.
        brief: leave out settings and fields that have their default.
    """
    if isinstance(value, BaseModel):
        is_data = isinstance(value, LogData | TextData)
        exclude = WITHOUT_BEARING if isinstance(value, Recipe) else {"file"} if is_data else None
        return value.model_dump(mode="json", exclude_defaults=brief, exclude=exclude)
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
    """A field's default; MISSING, which equals nothing, if it has none."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def same_values(recorded: Any, whole: Any, brief: Any) -> bool:
    """Whether recorded values equal today's, except for settings added later that have their default.

    Args:
        recorded: `Row.values()` when the row was measured.
        whole: the same today.
        brief: the same today, without what has its default.
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
