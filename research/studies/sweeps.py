"""Studies that vary one setting of a recipe."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from research.studies.conclusions import (
    best_sentence,
    counted,
    curve,
    first,
    headline_figures,
    level_of,
    main_figure,
    table,
    unit,
)
from research.studies.findings import Chart, Findings, paragraph
from research.studies.measures import Measure, OnHeldOut
from research.studies.recipes import Changes
from research.studies.rows import Done
from research.studies.study import Row, Setting
from research.studies.trainings import Measured, OnReal, OnSummary

FULL = "full"
"""The key, and the label "trained on", of the row that others are divided by."""


def full_row(
    setting: Setting, measure: Measure | None = None, labels: Mapping[str, Any] | None = None
) -> Row:
    """The row of the full data."""
    work = Measured(OnReal(setting.recipe), measure or OnHeldOut())
    return setting.row(FULL, {"trained on": FULL, **(labels or {})}, work)


def distilled_row(
    setting: Setting,
    key: str,
    labels: Mapping[str, Any],
    changes: Changes,
    measure: Measure | None = None,
) -> Row:
    """A row for a summary of the recipe with changes."""
    work = Measured(OnSummary(setting.recipe.changed(changes)), measure or OnHeldOut())
    return setting.row(key, {"trained on": "summary", **labels}, work)


def key_of(*parts: object) -> str:
    """A row's key from words and numbers: `dim-8`, `adam-0.02`."""
    words = "-".join(f"{part:g}" if isinstance(part, float) else str(part) for part in parts)
    return re.sub(r"[^A-Za-z0-9.]+", "-", words).strip("-")


@dataclass(frozen=True)
class Sweep:
    """The tables, curves and sentences of a sweep over one setting.

    Attributes:
        label: the label with its value.
        costs: further figures of the table.
        log: whether the axis is logarithmic.
        more: further charts: title and figure of each.
    """

    label: str
    costs: tuple[str, ...] = ("distil seconds",)
    log: bool = False
    more: tuple[tuple[str, str], ...] = ()

    def __call__(self, rows: Sequence[Done]) -> Findings:
        """See `Study.conclude`."""
        whole = first(rows, **{"trained on": FULL})
        swept = [done for done in rows if self.label in done.labels]
        main = main_figure(rows)
        main_table = table(rows, ("trained on", self.label), (*headline_figures(rows), *self.costs), whole)
        sentences = [best_sentence(swept, self.label, main, whole), counted(rows)]
        return Findings((main_table,), self.charts(swept, whole, main), paragraph(sentences))

    def charts(self, swept: Sequence[Done], whole: Done | None, main: str) -> tuple[Chart, ...]:
        """Quality over the setting with the full data's level, then the other figures."""
        if not swept:
            return ()
        words = any(isinstance(done.labels[self.label], str) for done in swept)
        kind = "bars" if words else "lines"
        level = level_of(whole, main)
        quality = curve(swept, "trained on the summary", self.label, main)
        charts = [Chart("Quality", self.label, unit(main), (quality,), kind, self.log, level)]
        for title, figure in self.more:
            one = curve(swept, figure, self.label, figure)
            if one.points:
                charts.append(Chart(title, self.label, unit(figure), (one,), kind, self.log))
        return tuple(charts)
