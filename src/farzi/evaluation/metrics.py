"""What each figure is called, how it comes of many small ones, and which way is better: a registry.

A figure is made of units: users of a log, passages of a text. Its mean over them, through `Metric.figure`, is
the figure; so a paired bootstrap over units works alike for all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np

Number = TypeVar("Number", float, np.ndarray)


@dataclass(frozen=True)
class Metric:
    """A share of events, or their mean: between 0 and 1, shown as per cent, higher is better.

    Attributes:
        name: the metric's.
        headline: whether lines, tables and pictures show it; results.json and history.jsonl have them all.
        judged: whether its ratio to the full data's helps to choose the best summary.
    """

    name: str
    headline: bool = False
    judged: bool = False

    def figure(self, mean: np.ndarray) -> np.ndarray:
        """The figure, from the mean over units; any shape."""
        return mean

    @property
    def unit(self) -> str:
        """What people are shown it in."""
        return "%"

    def scaled(self, figure: Number) -> Number:
        """A figure in that unit."""
        return 100 * figure

    def text(self, figure: float) -> str:
        """A figure as people read it, without its unit."""
        return f"{100 * figure:.1f}"

    def gain(self, ratio: Number) -> Number:
        """How good a ratio to the full data's figure is: 1 as good, above 1 better."""
        return ratio

    def ratio(self, ratio: float | None) -> str:
        """A ratio as people read it: `97 %`; a dash where it is not defined."""
        return percent(ratio)

    @property
    def of_gain(self) -> str:
        """What `gain` is the ratio of."""
        return self.name


@dataclass(frozen=True)
class Cost(Metric):
    """A figure above 0, better when lower, shown as it is; its ratio to the full data's as `× 1.25`."""

    @property
    def unit(self) -> str:
        """None."""
        return ""

    def scaled(self, figure: Number) -> Number:
        """As it is."""
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
    """exp of the mean cross-entropy a token, nats."""

    def figure(self, mean: np.ndarray) -> np.ndarray:
        """See `Metric`."""
        with np.errstate(over="ignore"):
            return np.exp(mean)


# Of a log not the top-10 figures are judged, which count few hits (HR@10 some 120 of MovieLens-100k's 943
# users, HR@100 some 530): the best of many validations would be the luckiest. In the second half of a run on
# MovieLens-100k the mean of the ratios of HR@10, nDCG@10 and HR@100 moved by 2.7 points (root mean square)
# from one validation to the next, the mean of these two by 0.5. nDCG@100 still weighs the top.
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
"""By name; a name that is not here, such as HR@20, is a plain `Metric`."""


def metric_of(name: str) -> Metric:
    """The metric of that name."""
    return METRICS.get(name) or Metric(name)


def headlines(names: Iterable[str]) -> tuple[str, ...]:
    """Those of some metrics that people are shown, in the registry's order."""
    names = set(names)
    return tuple(metric.name for metric in METRICS.values() if metric.headline and metric.name in names)


def percent(ratio: float | None) -> str:
    """A ratio to the full data's figure as people read it: `97 %`; a dash where that figure is 0.

    Args:
        ratio: nan, or None as JSON files have it, where it is not defined.
    """
    return "–" if ratio is None or np.isnan(ratio) else f"{100 * ratio:.0f} %"


@dataclass(frozen=True, eq=False)
class Figures:
    """Metrics unit by unit.

    Attributes:
        per_unit: each metric by name, (units,); its mean, through `Metric.figure`, is the figure.
    """

    per_unit: dict[str, np.ndarray]

    def means(self) -> dict[str, float]:
        """The figure of each metric."""
        return {name: float(metric_of(name).figure(values.mean())) for name, values in self.per_unit.items()}
