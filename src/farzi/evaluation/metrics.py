"""The metrics: their names, how a figure is computed from units, and which direction is better.

Each metric is measured on units: users of a log, passages of a text. The figure is `Metric.figure` of the
mean over units, so that one paired bootstrap over units serves all metrics.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np

Number = TypeVar("Number", float, np.ndarray)


@dataclass(frozen=True)
class Metric:
    """A figure between 0 and 1, printed as per cent; higher is better.

    Attributes:
        name: of the metric.
        headline: whether lines, tables and charts contain it; results.json and history.jsonl contain all.
        judged: whether its ratio to the full data's is part of the score that selects the best summary.
    """

    name: str
    headline: bool = False
    judged: bool = False

    def figure(self, mean: np.ndarray) -> np.ndarray:
        """The figure, from the mean over units; any shape."""
        return mean

    @property
    def unit(self) -> str:
        """The unit it is printed in."""
        return "%"

    def scaled(self, figure: Number) -> Number:
        """A figure in that unit."""
        return 100 * figure

    def text(self, figure: float) -> str:
        """A figure as it is printed, without its unit."""
        return f"{100 * figure:.1f}"

    def gain(self, ratio: Number) -> Number:
        """A ratio to the full data's figure, as a gain: 1 is equally good, above 1 is better."""
        return ratio

    def ratio(self, ratio: float | None) -> str:
        """A ratio as it is printed: `97 %`; a dash where it is not defined."""
        return percent(ratio)

    @property
    def of_gain(self) -> str:
        """The quantity whose ratio `gain` is."""
        return self.name


@dataclass(frozen=True)
class Cost(Metric):
    """A figure above 0, lower is better; its ratio to the full data's is printed as `× 1.25`."""

    @property
    def unit(self) -> str:
        """None: a cost is a plain number."""
        return ""

    def scaled(self, figure: Number) -> Number:
        """The figure itself."""
        return figure

    def text(self, figure: float) -> str:
        """Three digits or more."""
        return f"{figure:.2f}" if figure < 10 else f"{figure:,.1f}" if figure < 1000 else f"{figure:,.0f}"

    def gain(self, ratio: Number) -> Number:
        """See `Metric`."""
        with np.errstate(divide="ignore"):
            return cast(Number, np.divide(1, ratio))

    def ratio(self, ratio: float | None) -> str:
        """See `Metric`."""
        return "–" if ratio is None or np.isnan(ratio) else f"× {ratio:.2f}"

    @property
    def of_gain(self) -> str:
        """See `Metric`."""
        return f"1 / {self.name}"


@dataclass(frozen=True)
class Perplexity(Cost):
    """exp of the mean cross-entropy per token in nats."""

    def figure(self, mean: np.ndarray) -> np.ndarray:
        """See `Metric`."""
        with np.errstate(over="ignore"):
            return np.exp(mean)


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
        Perplexity("perplexity", headline=True, judged=True),
        Metric("accuracy", headline=True, judged=True),
        Cost("bits per byte"),
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


def percent(ratio: float | None) -> str:
    """A ratio to the full data's figure as it is printed: `97 %`; a dash where it is not defined.

    Args:
        ratio: nan, or None as in JSON files, where the full data's figure is 0.
    """
    return "–" if ratio is None or np.isnan(ratio) else f"{100 * ratio:.0f} %"


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
        metrics = [metric_of(name) for name in self]
        texts = [metric.text(figure) for metric, figure in zip(metrics, self.values(), strict=True)]
        names = max(len(metric.name) for metric in metrics)
        width = max(len(text) for text in texts)
        lines = [
            f"{metric.name.ljust(names)}  {text.rjust(width)} {metric.unit}".rstrip()
            for metric, text in zip(metrics, texts, strict=True)
        ]
        return "\n".join([*lines, self.statement] if self.statement else lines)

    __repr__ = __str__
