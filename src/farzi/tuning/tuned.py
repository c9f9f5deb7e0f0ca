"""The result of a model search."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from farzi.evaluation import aligned
from farzi.evaluation.metrics import Metric
from farzi.progress import counted, time_text
from farzi.recipe import Recipe
from farzi.tuning.confirm import Confirmed
from farzi.tuning.search import Row

SHOWN = 10
"""Trials in the table."""


@dataclass(frozen=True, eq=False, repr=False)
class Tuned:
    """What a search on a summary found, and what the full data confirmed. `print` gives a table.

    Attributes:
        metric: of all figures.
        trials: in their order; the recipe's own setting is the first.
        chosen: the best trial on the summary.
        confirmed: trainings on the full data, the recipe's own setting first; empty if none was asked for.
        best: the setting that the validation events prefer among those confirmed; None if there are none.
        recipe: with the best setting, or with the chosen one if nothing was confirmed.
        tau: Kendall's τ between summary and full data over the confirmed settings; None of fewer than four.
        seconds: wall clock of "distillation", "search", "confirmation" and each control's search. That of
            the confirmation is the sum over its trainings.
        folder: where the files are; None if none were asked for.
    """

    metric: Metric
    trials: tuple[Row, ...]
    chosen: Row
    confirmed: tuple[Confirmed, ...]
    best: Confirmed | None
    recipe: Recipe
    tau: float | None
    seconds: dict[str, float]
    folder: Path | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of `recipe` that the search decided, by path."""
        return dict(self.chosen.settings if self.best is None else self.best.settings)

    @property
    def line(self) -> str:
        """What was chosen on the summary, what was confirmed, the gain, and the seconds of both."""
        own = next(row for row in self.trials if row.default)
        search = time_text(self.seconds["search"])
        chosen = (
            f"chosen on the summary in {search}: {self._name(self.chosen)}, validation {self.metric.name} "
            f"{self._text(self.chosen.figure)} (the recipe's own setting {self._text(own.figure)})"
        )
        if self.best is None:
            return f"{chosen}; nothing was confirmed on the full data"
        took = time_text(self.seconds["confirmation"])
        said = f"{chosen}; confirmed on the full data in {took} of training: "
        if self.best is self.confirmed[0]:
            return f"{said}the recipe's own setting, test {self._text(self.best.test)}; no gain"
        return (
            f"{said}{self.best.name}, test {self._text(self.best.test)}, gain over the recipe's own setting "
            f"{self._gain(self.best)}"
        )

    def facts(self) -> dict[str, Any]:
        """As JSON values: what is in `confirmed.json`."""
        return {
            "metric": self.metric.name,
            "line": self.line,
            "trials": len(self.trials),
            "chosen": asdict(self.chosen),
            "best": None if self.best is None else self.best.name,
            "settings": self.settings,
            "confirmed": [{**asdict(row), "gain": list(row.gain)} for row in self.confirmed],
            "kendall_tau": self.tau,
            "seconds": {name: round(one, 1) for name, one in self.seconds.items()},
        }

    def __str__(self) -> str:
        """The best trials, the confirmed settings, and the line."""
        done = [row for row in self.trials if row.figure is not None and row.state != "running"]
        ranked = sorted(done, key=lambda row: -self.metric.sign * (row.figure or 0))
        shown = [*ranked[:SHOWN], *(row for row in ranked[SHOWN:] if row.default)]
        rows = [
            [
                f"{self._name(row):<14}{_words(row.settings)}",
                self._text(row.figure),
                row.state,
                time_text(row.seconds),
            ]
            for row in shown
        ]
        parts = [aligned(["on the summary", "validation", "", "time"], rows)]
        if len(shown) < len(self.trials):
            parts.append(f"{counted(len(self.trials), 'trial')}, the best ones shown")
        if self.confirmed:
            table = [
                [
                    row.name,
                    "–" if row.summary is None else self._text(row.summary),
                    self._text(row.valid),
                    self._text(row.test),
                    self._gain(row) if row is not self.confirmed[0] else "",
                    time_text(row.seconds),
                    "best" if row is self.best else "",
                ]
                for row in self.confirmed
            ]
            columns = ["on the full data", "summary", "validation", "test", "gain", "a training", ""]
            parts.append("\n" + aligned(columns, table))
        if self.tau is not None:
            parts.append(f"Kendall's τ between summary and full data: {self.tau:.2f}")
        parts.append(", ".join(f"{name} {time_text(one)}" for name, one in self.seconds.items()))
        return "\n".join([*parts, self.line])

    __repr__ = __str__

    def _name(self, row: Row) -> str:
        return "recipe's own" if row.default else f"trial {row.number}"

    def _text(self, figure: float | None) -> str:
        return "–" if figure is None else figure_text(self.metric, figure)

    def _gain(self, row: Confirmed) -> str:
        mean, low, high = (self.metric.scaled(one) for one in row.gain)
        unit = "" if self.metric.cost else " points"
        return f"{mean:+.2f}{unit} ({low:+.2f} to {high:+.2f})"


def figure_text(metric: Metric, figure: float) -> str:
    """A figure with its unit; two digits behind the point, since settings differ little."""
    return metric.text(figure) if metric.cost else f"{100 * figure:.2f} %"


def _words(settings: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}={one:.3g}" if isinstance(one, float) else f"{name}={one}" for name, one in settings.items()
    )
