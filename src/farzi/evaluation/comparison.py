"""The result of a comparison: rows for programs, a table and sentences for people."""

import math
import textwrap
from dataclasses import dataclass
from typing import Any

import polars as pl

from farzi.evaluation.intervals import Interval, paired_difference, paired_ratio, seed_interval
from farzi.evaluation.metrics import aligned, headlines, kib, metric_of
from farzi.evaluation.tasks import Task
from farzi.evaluation.trials import Result
from farzi.markup import joined, table, tag
from farzi.progress import counted, time_text

CHIEF = ("full", "random, teachers' labels", "random, teachers' labels, equal bytes")
"""Rows of the first verdict: the tuned baseline, and real windows with the same teachers' labels."""


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Models trained on several kinds of data. `print` gives a table and what it means.

    Attributes:
        student: the architecture's name.
        task: of the data.
        window: events in a training window.
        items: how many items or tokens were ranked or predicted among, V − 1.
        results: one per kind of training data, "full" first.
        distilling: seconds that the distillation took; None if unknown.
        origin: how the summary was made, as sentences; empty if unknown.
        left_out: sentences on rows that are not there, and why.
    """

    student: str
    task: Task
    window: int
    items: int
    results: tuple[Result, ...]
    distilling: float | None = None
    origin: str = ""
    left_out: tuple[str, ...] = ()

    def result(self, trained_on: str) -> Result:
        """The result of that name."""
        return next(one for one in self.results if one.trained_on == trained_on)

    def share(self, trained_on: str, metric: str) -> float:
        """Ratio to the full data's figure; nan if that is 0."""
        whole = self.result("full").figures(metric).mean()
        return float(self.result(trained_on).figures(metric).mean() / whole) if whole > 0 else math.nan

    def relative(self, trained_on: str, metric: str) -> Interval:
        """The same ratio with a 95 % interval, by a paired bootstrap over units and seeds."""
        ours, theirs = self.result(trained_on).per_unit[metric], self.result("full").per_unit[metric]
        return paired_ratio(ours, theirs, figure=metric_of(metric).figure)

    def lead(self, trained_on: str, metric: str) -> int:
        """1 if the summary is better than that result, -1 if worse, 0 if the 95 % interval includes 0.

        The interval is that of the difference, by a paired bootstrap over units and seeds.
        """
        ours, theirs = self.result("summary").per_unit[metric], self.result(trained_on).per_unit[metric]
        _, low, high = paired_difference(ours, theirs, figure=metric_of(metric).figure)
        return (1 if low > 0 else -1 if high < 0 else 0) * (1 if metric_of(metric).gain(2.0) > 1 else -1)

    def share_of_size(self, result: Result, size: str) -> float:
        """Ratio of a result's `events`, `bytes` or `seconds` to the full data's; nan if that is 0."""
        whole = getattr(self.result("full"), size)
        return getattr(result, size) / whole if whole > 0 else math.nan

    @property
    def headlines(self) -> tuple[str, ...]:
        """The metrics that tables contain."""
        return headlines(self.result("full").per_unit)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of results.json: one per kind of training data and metric.

        mean, low and high are in `unit`: "%", or "" for a perplexity and the like. relative_to_full is a
        ratio, nan if the full data's figure is 0; so are the shares of the full data's events, bytes and
        seconds.
        """
        return [
            {
                "trained_on": result.trained_on,
                "student": self.student,
                "sequences": result.sequences,
                "events": result.events,
                "bytes": result.bytes,
                "metric": name,
                "unit": metric_of(name).unit,
                **seed_interval(metric_of(name).scaled(result.figures(name)))._asdict(),
                "seeds": len(values),
                "train_seconds": result.seconds,
                "relative_to_full": self.share(result.trained_on, name),
                **{
                    f"{size}_share": self.share_of_size(result, size)
                    for size in ("events", "bytes", "seconds")
                },
            }
            for result in self.results
            for name, values in result.per_unit.items()
        ]

    def to_frame(self) -> pl.DataFrame:
        """`rows()` as a polars frame."""
        return pl.DataFrame(self.rows())

    @property
    def speedup(self) -> float:
        """Seconds of a training on the full data, divided by those of a training on the summary."""
        return self.result("full").seconds / self.result("summary").seconds

    @property
    def break_even(self) -> float | None:
        """Trainings after which the distillation has saved time; None if never, or if its cost is unknown."""
        saved = self.result("full").seconds - self.result("summary").seconds
        return None if self.distilling is None or saved <= 0 else self.distilling / saved

    def cell(self, result: Result, name: str, separator: str = " ") -> str:
        """Figure, 95 % interval over seeds and ratio to the full data's, as `11.7 ±0.6 (97 %)`."""
        metric = metric_of(name)
        figures = result.figures(name)
        mean, low, _ = seed_interval(figures)
        figure = f"{metric.text(mean)} ±{metric.text(mean - low)}" if len(figures) > 1 else metric.text(mean)
        if result.trained_on == "full":
            return figure
        return f"{figure}{separator}({metric.ratio(self.share(result.trained_on, name))})"

    def table(self, separator: str = " ") -> tuple[list[str], list[list[str]]]:
        """The columns, and a row of cells for each kind of training data."""

        def sized(result: Result, size: str, text: str) -> str:
            share = self.share_of_size(result, size)
            return text if result.trained_on == "full" else f"{text}{separator}({per_cent(share)})"

        rows = [
            [
                result.trained_on,
                sized(result, "events", f"{result.events:,}"),
                sized(result, "bytes", kib(result.bytes)),
                *(self.cell(result, name, separator) for name in self.headlines),
                sized(result, "seconds", f"{result.seconds:.1f}"),
            ]
            for result in self.results
        ]
        return ["trained on", "events", "KiB", *self.headlines, "train s"], rows

    def conclusions(self) -> list[str]:
        """What the figures are, what the summary reaches, is ahead of and saves, and how it was made."""
        full, ours = self.result("full"), self.result("summary")
        seeds, units = next(iter(full.per_unit.values())).shape
        few = "" if seeds > 3 else f" (Student's t, {counted(seeds - 1, 'degree')} of freedom, hence wide)"
        few = few if seeds > 1 else " (none of a single model)"
        times = max(self.speedup, 1 / self.speedup)
        faster = f"{times:,.{0 if times >= 10 else 1}f} times {'faster' if self.speedup >= 1 else 'slower'}"
        reached = []
        for name in self.headlines:
            mean, low, high = self.relative("summary", name)
            ratio = metric_of(name).ratio
            interval = "" if math.isnan(mean) else f" ({ratio(low)} to {ratio(high)})"
            reached.append(f"{name} {ratio(mean)}{interval}")
        lines = [
            f"Test {self.task.statement(units, self.items, self.window)}. Means of "
            f"{counted(seeds, 'model')} ± 95 % interval{few}; below them, the share of the full "
            "data's figure.",
            f"Of the full data's figures the summary reaches {', '.join(reached)}; 95 % intervals over "
            f"{self.task.units} and models.",
            *self._leads(),
            *self.left_out,
            *([self.origin] if self.origin else []),
            f"Training on the summary takes {time_text(ours.seconds)}, on the full data "
            f"{time_text(full.seconds)}: {faster}.",
        ]
        if self.distilling is not None:
            even = self.break_even
            paid = (
                "never paid for" if even is None else f"paid for after {counted(math.ceil(even), 'training')}"
            )
            lines.append(f"Distilling took {self.distilling:,.0f} s, {paid}.")
        return lines

    def _leads(self) -> list[str]:
        """What the summary is ahead of, behind, and not clearly different from: first among `CHIEF`."""
        others = [result.trained_on for result in self.results if result.trained_on != "summary"]
        chief = [name for name in others if name in CHIEF]
        rest = [name for name in others if name not in CHIEF]
        end = "(95 % intervals of the differences)."
        lines = [f"The summary is {self._verdicts(chief)} {end}"]
        return [*lines, f"Of the other rows, it is {self._verdicts(rest)}."] if rest else lines

    def _verdicts(self, rows: list[str]) -> str:
        words = {1: "ahead of", -1: "behind", 0: "not clearly different from"}
        others: dict[int, list[str]] = {verdict: [] for verdict in words}
        for row in rows:
            leads = {name: self.lead(row, name) for name in self.headlines}
            for verdict, names in others.items():
                metrics = [metric for metric, lead in leads.items() if lead == verdict]
                if metrics:
                    some = "" if len(metrics) == len(leads) else f" ({', '.join(metrics)})"
                    names.append(f'"{row}"{some}')
        return "; ".join(f"{words[verdict]} {_listed(names)}" for verdict, names in others.items() if names)

    def __str__(self) -> str:
        """The table, then what it means."""
        lines = [textwrap.fill(line, 100) for line in self.conclusions()]
        return "\n".join([aligned(*self.table("\n")), "", *lines])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The same for notebooks."""
        columns, rows = self.table()
        ours = [row[0] for row in rows].index("summary")
        told = table(columns, rows, numbers=range(1, len(columns)), marked=[ours])
        return joined([told, tag("ul", [tag("li", line) for line in self.conclusions()])])


def _listed(names: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def per_cent(share: float) -> str:
    """A share of a size with two digits or more: `0.12 %`, `110 %`."""
    return (
        "–" if math.isnan(share) else f"{100 * share:,.{2 if share < 0.01 else 1 if share < 0.1 else 0}f} %"
    )
