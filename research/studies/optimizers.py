"""Inner optimizers, each at the learning rate chosen for it on the validation events.

Every rate of every optimizer is a row. An optimizer is judged by the row whose summary was best on the
validation events.
"""

from collections.abc import Callable, Mapping, Sequence

from research.studies.conclusions import (
    best_sentence,
    counted,
    curve,
    figures_of,
    first,
    having,
    headline_figures,
    interval_of,
    level_of,
    main_figure,
    table,
    unit,
)
from research.studies.findings import Chart, Findings, paragraph
from research.studies.rows import Done
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import FULL, distilled_row, full_row, key_of

RATES: Mapping[str, tuple[float, ...]] = {
    "sgd": (0.3, 1.0, 3.0, 10.0),
    "momentum": (0.03, 0.1, 0.3, 1.0),
    "adagrad": (0.01, 0.03, 0.1, 0.3),
    "rmsprop": (0.001, 0.003, 0.01, 0.03),
    "adam": (0.005, 0.01, 0.02, 0.04),
    "adamw": (0.005, 0.01, 0.02, 0.04),
}
"""Learning rates tried."""

COSTS = ("validation", "metagradient norm", "distil seconds")


def grid_of(names: Sequence[str]) -> Callable[[Setting], Sequence[Row]]:
    """The full data, and these optimizers at all of their rates."""

    def grid(setting: Setting) -> Sequence[Row]:
        rows = [full_row(setting)]
        for name in names:
            for rate in RATES[name]:
                settings = {"inner.optimizer": {"type": name, "learning_rate": rate}}
                rows.append(
                    distilled_row(setting, key_of(name, rate), {"optimizer": name, "rate": rate}, settings)
                )
        return rows

    return grid


def conclude(rows: Sequence[Done]) -> Findings:
    """Each optimizer at the rate chosen on the validation events."""
    whole, main = first(rows, **{"trained on": FULL}), main_figure(rows)
    tried = [
        done for done in having(rows, **{"trained on": "summary"}) if len(figures_of(done, "validation"))
    ]
    names = list(dict.fromkeys(done.labels["optimizer"] for done in tried))
    chosen = [
        max(having(tried, optimizer=name), key=lambda done: interval_of(done, "validation").mean)
        for name in names
    ]
    labels = ("trained on", "optimizer", "rate")
    tables = [table(rows, labels, (*headline_figures(rows), *COSTS), whole, "All rates")]
    charts: tuple[Chart, ...] = ()
    if chosen:
        best = [*([whole] if whole else []), *chosen]
        tables.insert(
            0, table(best, labels, headline_figures(rows), whole, "At the rate chosen on validation events")
        )
        level = level_of(whole, main)
        over = tuple(curve(having(tried, optimizer=name), name, "rate", "validation") for name in names)
        charts = (
            Chart("At the chosen rate", "inner optimizer", unit(main),
                  (curve(chosen, "summary", "optimizer", main),), "bars", level=level),
            Chart("Best validation by rate", "inner learning rate", "share of full data, %", over, log=True),
        )  # fmt: skip
    sentences = (best_sentence(chosen, "optimizer", main, whole), counted(rows))
    return Findings(tuple(tables), charts, paragraph(sentences))


OPTIMIZERS = Study(
    "optimizers",
    "Which inner optimizer is best, each at its own learning rate?",
    grid_of(tuple(RATES)),
    conclude,
)

ADAM_SGD = Study(
    "adam-sgd",
    "Is it worth differentiating through Adam rather than SGD?",
    grid_of(("adam", "sgd")),
    conclude,
    source="amazon-magazine",
    summaries=3,
)
