"""A summary beside the full data and controls, under the same evaluation.

Each model starts from fresh random weights. Models on real events are trained as usual: with early stopping
and with the best of several learning rates, both by the validation data. The kinds of training data are

- full: the whole log or text;
- summary;
- the recipe's controls: as many real sequences as the summary has, of the same length;
- the same controls at equal bytes: as many real sequences as fit in the summary's bytes;
- counts of the full data's events, without any training: what is most popular, and what most often follows.

The learning rate chosen for the full data is also used for the controls at equal bytes, which are of similar
size. The one chosen for the first control is used for all small controls. The test data are used once, at the
end.
"""

import itertools
import math
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import torch

from farzi.data import Data
from farzi.errors import FarziError
from farzi.evaluation.controls import Bigram, Control, Popularity, Successors, bytes_per_event
from farzi.evaluation.intervals import Interval, paired_difference, paired_ratio, seed_interval
from farzi.evaluation.metrics import aligned, headlines, kib, metric_of
from farzi.evaluation.tasks import LanguageTask, RecommendationTask, Task, task_of
from farzi.evaluation.trials import Result, Trials
from farzi.progress import PrintedProgress, Progress, counted, time_left, time_text
from farzi.recipe import Recipe
from farzi.recipe.variants import ControlVariant
from farzi.summary import Summary, distillation_facts
from farzi.surroundings import undisturbed

COUNTS: dict[type[Task], dict[str, type]] = {
    RecommendationTask: {"popularity": Popularity, "successors": Successors},
    LanguageTask: {"unigram": Popularity, "bigram": Bigram},
}
"""Controls without training, of each task, by the names of their rows."""


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
    """

    student: str
    task: Task
    window: int
    items: int
    results: tuple[Result, ...]
    distilling: float | None = None
    origin: str = ""

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

    @property
    def headlines(self) -> tuple[str, ...]:
        """The metrics that tables contain."""
        return headlines(self.result("full").per_unit)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of results.json: one per kind of training data and metric.

        mean, low and high are in `unit`: "%", or "" for a perplexity and the like. relative_to_full is a
        ratio, nan if the full data's figure is 0.
        """
        return [
            {
                "trained_on": result.trained_on,
                "student": self.student,
                "sequences": result.sequences,
                "bytes": result.bytes,
                "metric": name,
                "unit": metric_of(name).unit,
                **seed_interval(metric_of(name).scaled(result.figures(name)))._asdict(),
                "seeds": len(values),
                "train_seconds": result.seconds,
                "relative_to_full": self.share(result.trained_on, name),
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
        rows = [
            [
                result.trained_on,
                f"{result.sequences:,}",
                kib(result.bytes),
                *(self.cell(result, name, separator) for name in self.headlines),
                f"{result.seconds:.1f}",
            ]
            for result in self.results
        ]
        return ["trained on", "sequences", "KiB", *self.headlines, "train s"], rows

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
            self._leads(),
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

    def _leads(self) -> str:
        """One sentence: what the summary is ahead of, behind, and not clearly different from."""
        words = {1: "ahead of", -1: "behind", 0: "not clearly different from"}
        others: dict[int, list[str]] = {verdict: [] for verdict in words}
        for result in self.results:
            if result.trained_on == "summary":
                continue
            leads = {name: self.lead(result.trained_on, name) for name in self.headlines}
            for verdict, names in others.items():
                metrics = [metric for metric, lead in leads.items() if lead == verdict]
                if metrics:
                    some = "" if len(metrics) == len(leads) else f" ({', '.join(metrics)})"
                    names.append(f'"{result.trained_on}"{some}')
        parts = [f"{words[verdict]} {_listed(names)}" for verdict, names in others.items() if names]
        return f"The summary is {'; '.join(parts)} (95 % intervals of the differences)."

    def __str__(self) -> str:
        """The table, then what it means."""
        lines = [textwrap.fill(line, 100) for line in self.conclusions()]
        return "\n".join([aligned(*self.table("\n")), "", *lines])

    __repr__ = __str__


def _listed(names: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


@undisturbed()
def compare(
    summary: Summary,
    data: Data,
    recipe: Recipe | None = None,
    *,
    progress: Progress | None = None,
    device: torch.device | str = "cpu",
) -> Comparison:
    """Train and test models on the full data, the summary and the controls.

    Args:
        summary: from `distill` or `Summary.load`.
        data: the log or text that it was distilled from.
        recipe: another recipe than the summary's; its `compare`, `teach`, `student` and `inner` are used.
        progress: receives reports; if left out, a line for each training is printed to stderr. `Progress()`
            shows nothing.
        device: where models are trained.

    Raises:
        FarziError: the data have other items than the summary, or a control of the recipe cannot be built.
    """
    recipe = recipe or summary.recipe
    check_vocabulary(data, summary)
    tensors, progress, settings = summary.tensors.to(device), progress or PrintedProgress(), recipe.compare
    kinds = 2 + (2 if settings.equal_bytes else 1) * len(settings.controls)
    rates = len(recipe.teach.grid.learning_rate)
    total = settings.seeds * kinds + (rates > 1) * rates * (2 if settings.controls else 1)
    begun, trainings = time.monotonic(), itertools.count()

    def doing(text: str) -> None:
        done = next(trainings)
        left = f", about {time_left(begun, done, total)} left" if done else ""
        progress.doing(f"{text} ({done + 1} of {total} trainings{left})")

    trials = Trials(
        data,
        recipe.student,
        tensors.length,
        task_of(data, recipe.select.seen),
        recipe.compare.seeds,
        recipe.teach,
        progress=doing,
        passing=progress.passing,
        device=tensors.device,
    )
    controls = build_controls(recipe.compare.controls)
    full = trials.on_full_data()
    results = [full, trials.on_summary(tensors, recipe.inner)]
    small = {name: trials.picker(control, tensors.sequences) for name, control in controls.items()}
    rate = next((trials.best_rate(name, pick) for name, pick in small.items()), 0.0)
    results += [trials.on_events(name, pick, rate) for name, pick in small.items()]
    if recipe.compare.equal_bytes:
        count = max(1, tensors.bytes // (tensors.length * bytes_per_event(len(data.vocabulary))))
        for name, control in controls.items():
            pick = trials.picker(control, count)
            results.append(trials.on_events(f"{name}, equal bytes", pick, full.learning_rate))
    results += [trials.on_counts(name, counts) for name, counts in COUNTS[type(trials.task)].items()]
    return Comparison(
        recipe.student.type,
        trials.task,
        tensors.length,
        len(data.vocabulary) - 1,
        tuple(results),
        summary.run.get("seconds"),
        distillation_facts(summary),
    )


def build_controls(variants: Sequence[ControlVariant]) -> dict[str, Control]:
    """Controls by the names of their rows: the `type`, or the class of a variant from outside the package.

    Raises:
        FarziError: a class cannot be imported or does not take its settings.
    """
    controls: dict[str, Control] = {}
    for variant in variants:
        plain = variant.type.rpartition(":")[2].rpartition(".")[2]
        names = (plain, *(f"{plain} {number}" for number in range(2, len(controls) + 2)))
        controls[next(name for name in names if name not in controls)] = variant.build()
    return controls


def check_vocabulary(data: Data, summary: Summary) -> None:
    """Refuse data whose items are not those of the summary, in the same order.

    Raises:
        FarziError: the ids differ.
    """
    if not data.vocabulary.frame["id"].equals(summary.vocabulary.frame["id"]):
        raise FarziError(
            f"{data.name}: its items are not those of the summary; read and split it as for the distillation"
        )
