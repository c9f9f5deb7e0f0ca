"""The metrics: their names, how a figure is computed from units, which direction is better; figures as text.

Each metric is measured on units: users of a log, passages of a text. The figure is `Metric.figure` of the
mean over units, so that one paired bootstrap over units serves all metrics.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeVar, cast

import numpy as np

from farzi.markup import table

Number = TypeVar("Number", float, np.ndarray)


@dataclass(frozen=True)
class Metric:
    """What a figure is, which direction is better, and how it is printed.

    A share is between 0 and 1, printed as per cent, and higher is better. A cost is above 0, printed as it
    is, and lower is better; its ratio to the full data's is printed as `× 1.25`.

    Attributes:
        name: of the metric.
        headline: whether lines, tables and charts contain it; results.json and history.jsonl contain all.
        judged: whether its ratio to the full data's is part of the score that selects the best summary.
        cost: whether it is a cost.
        exponential: whether the figure is exp of the mean over units, as a perplexity.
    """

    name: str
    headline: bool = False
    judged: bool = False
    cost: bool = False
    exponential: bool = False

    def figure(self, mean: np.ndarray) -> np.ndarray:
        """The figure, from the mean over units; any shape."""
        with np.errstate(over="ignore"):
            return np.exp(mean) if self.exponential else mean

    @property
    def unit(self) -> str:
        """The unit it is printed in."""
        return "" if self.cost else "%"

    @property
    def sign(self) -> int:
        """1 if higher figures are better, -1 if lower ones are."""
        return -1 if self.cost else 1

    def scaled(self, figure: Number) -> Number:
        """A figure in that unit."""
        return figure if self.cost else 100 * figure

    def text(self, figure: float) -> str:
        """A figure as it is printed, without its unit; a cost has three digits or more."""
        if not self.cost:
            return f"{100 * figure:.1f}"
        return f"{figure:.2f}" if figure < 10 else f"{figure:,.1f}" if figure < 1000 else f"{figure:,.0f}"

    def gain(self, ratio: Number) -> Number:
        """A ratio to the full data's figure, as a gain: 1 is equally good, above 1 is better."""
        with np.errstate(divide="ignore"):
            return cast(Number, np.divide(1, ratio)) if self.cost else ratio

    @property
    def of_gain(self) -> str:
        """The quantity whose ratio `gain` is."""
        return f"1 / {self.name}" if self.cost else self.name

    def ratio(self, ratio: float | None) -> str:
        """A ratio to the full data's figure as it is printed: `97 %`.

        Args:
            ratio: nan, or None as in JSON files, where the full data's figure is 0; printed as a dash.
        """
        if ratio is None or np.isnan(ratio):
            return "–"
        return f"× {ratio:.2f}" if self.cost else f"{100 * ratio:.0f} %"


# For logs the top-10 figures are not judged. They count few hits (HR@10 about 120 of MovieLens-100k's 943
# users, HR@100 about 530), so the best of many validations would be the luckiest. In the second half of a run
# on MovieLens-100k the mean ratio of HR@10, nDCG@10 and HR@100 changed by 2.7 points (root mean square) from
# one validation to the next, the mean ratio of HR@100 and nDCG@100 by 0.5. nDCG@100 still weights the top.
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("HR@10", headline=True),
        Metric("nDCG@10", headline=True),
        Metric("HR@100", headline=True, judged=True),
        Metric("nDCG@100", judged=True),
        Metric("MRR"),
        Metric("AUC"),
        Metric("perplexity", headline=True, judged=True, cost=True, exponential=True),
        Metric("accuracy", headline=True, judged=True),
        Metric("bits per byte", cost=True),
    )
}
"""By name. A name that is missing here, such as HR@20, is a plain `Metric`."""


def metric_of(name: str) -> Metric:
    """The metric of that name."""
    return METRICS.get(name) or Metric(name)


def headlines(names: Iterable[str]) -> tuple[str, ...]:
    """The headline metrics among some names, in the order of `METRICS`."""
    names = set(names)
    return tuple(metric.name for metric in METRICS.values() if metric.headline and metric.name in names)


def kib(size: int) -> str:
    """Bytes as KiB, without the unit: `84`, or `1.9` below 10 KiB."""
    return f"{size / 1024:,.0f}" if size >= 10 * 1024 else f"{size / 1024:.1f}"


def shares(relative: Mapping[str, float | None]) -> str:
    """The headline metrics' ratios to the full data's: `HR@10 96 %, nDCG@10 93 %, HR@100 –`."""
    return ", ".join(f"{name} {metric_of(name).ratio(relative[name])}" for name in headlines(relative))


def headline_figures(figures: Mapping[str, float]) -> str:
    """The headline metrics: `HR@10 11.7 %, nDCG@10 5.8 %, HR@100 54.1 %`."""
    named = [(name, metric_of(name)) for name in headlines(figures)]
    return ", ".join(f"{name} {metric.text(figures[name])} {metric.unit}".rstrip() for name, metric in named)


def aligned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as plain text, its first column aligned to the left.

    A line break in a cell continues it on the next line.
    """
    lines = [tuple(columns)]
    for row in rows:
        lines += zip_longest(*(cell.split("\n") for cell in row), fillvalue="")
    widths = [max(map(len, column)) for column in zip(*lines)]
    text = [
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in lines
    ]
    return "\n".join([text[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *text[1:]])


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Mapping[str, float]):
    """The metrics of one model: a mapping from a metric's name to its figure. `print` gives a table.

    Attributes:
        per_unit: each metric per unit (user of a log, passage of a text), (units,); the figure is
            `Metric.figure` of its mean.
        statement: what was measured and how, as one sentence; empty where nobody reads it.
    """

    per_unit: dict[str, np.ndarray]
    statement: str = ""

    def __getitem__(self, name: str) -> float:
        return float(metric_of(name).figure(self.per_unit[name].mean()))

    def __iter__(self) -> Iterator[str]:
        return iter(self.per_unit)

    def __len__(self) -> int:
        return len(self.per_unit)

    def means(self) -> dict[str, float]:
        """The figures as a plain dict."""
        return dict(self)

    def __str__(self) -> str:
        """One line per metric, then the statement."""
        texts = {name: metric_of(name).text(figure) for name, figure in self.items()}
        names, figures = max(map(len, texts)), max(map(len, texts.values()))
        lines = [
            f"{name:<{names}}  {text:>{figures}} {metric_of(name).unit}".rstrip()
            for name, text in texts.items()
        ]
        return "\n".join([*lines, self.statement] if self.statement else lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The same for notebooks."""
        rows = [
            (name, f"{(one := metric_of(name)).text(figure)} {one.unit}") for name, figure in self.items()
        ]
        return table(("metric", "figure"), rows, self.statement or None, [1])
