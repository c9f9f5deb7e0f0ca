"""Breaking points, on made-up logs: heavy imbalance, long sequences, large vocabularies, few users.

Each row also has a summary with four times the sequences, trained on for as many passes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from farzi.evaluation.controls import Random
from research.studies.conclusions import (
    counted,
    curve,
    having,
    interval_of,
    is_share,
    main_figure,
    share_of,
    table,
    unit,
)
from research.studies.findings import Chart, Findings, paragraph
from research.studies.made import MadeLog
from research.studies.rows import Done
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import key_of
from research.studies.trainings import Beside, Measured, OnReal, OnSummary

BASE = MadeLog()
VALUES: Mapping[str, tuple[float, ...]] = {
    "imbalance": (0.0, 0.5, 1.0, 1.5, 2.0),
    "length": (10, 30, 100, 1000),
    "items": (100, 1000, 10_000, 100_000),
    "users": (20, 100, 500, 5000),
}
"""The varied settings of the made-up log."""
SETS = ("full", "summary", "larger summary", "random")
MOST_USERS = 1000
"""Most users of a log with more items: up to there it has one for ten items, beyond the items alone grow."""
TIMES = 4
"""Factor on the sequences and inner steps of the larger summary."""


def log_of(what: str, value: float) -> MadeLog:
    """The log with one setting varied. With more items there are more users, up to `MOST_USERS`."""
    if what == "imbalance":
        return replace(BASE, imbalance=float(value))
    log = replace(BASE, **{what: int(value)})
    users = min(int(value) // 10, MOST_USERS)
    return replace(log, users=max(log.users, users)) if what == "items" else log


def grid(setting: Setting) -> Sequence[Row]:
    """A row for each made-up log: the full log, two summaries, random sequences, as many as the first has."""
    rows = []
    recipe = setting.recipe.changed({"data.source": "made"})
    larger = recipe.changed(
        {
            "summary.sequences": TIMES * recipe.summary.sequences,
            "inner.steps": TIMES * recipe.inner.steps,
        }
    )
    for what, values in VALUES.items():
        for value in values:
            log = log_of(what, value)
            work = Beside(
                (
                    ("full", Measured(OnReal(recipe, source=log))),
                    ("summary", Measured(OnSummary(recipe, source=log))),
                    ("larger summary", Measured(OnSummary(larger, source=log))),
                    ("random", Measured(OnReal(recipe, Random(), source=log))),
                )
            )
            labels = {"varied": what, what: value, "users": log.users, "items": log.items, "value": value}
            rows.append(setting.row(key_of(what, value), {**labels, what: value}, work))
    return rows


def conclude(rows: Sequence[Done]) -> Findings:
    """A table and a chart for each varied setting."""
    what = main_figure(rows, "full: ").removeprefix("full: ")
    figures = [f"{name}: {what}" for name in SETS]
    tables, charts, sentences = [], [], []
    for name in VALUES:
        mine = having(rows, varied=name)
        if not mine:
            continue
        tables.append(table(mine, (name,), (*figures, "summary: distil seconds"), None, name))
        known = [done for done in mine if not done.failure]
        curves = tuple(curve(known, one, name, f"{one}: {what}") for one in SETS)
        if known:
            charts.append(Chart(name, name, unit(what), curves, log=name != "imbalance"))
            sentences.append(_sentence(known, name, what))
        sentences += [
            f"At {name} {done.labels[name]:g} it failed: {done.failure}." for done in mine if done.failure
        ]
    sentences.append(counted(rows))
    tables = tables or [table(rows, ("varied",), figures)]
    return Findings(tuple(tables), tuple(charts), paragraph(sentences))


def _sentence(rows: Sequence[Done], name: str, what: str) -> str:
    """The share of the full log's figure at both ends."""
    words = []
    for done in (rows[0], rows[-1]):
        share, more = (_share(done, one, what) for one in ("summary", "larger summary"))
        whole = interval_of(done, f"full: {what}").mean
        figure = f"{100 * whole:.1f} %" if is_share(what) else f"{whole:.3g}"
        share_of_full = f"{share} of the full log's {what} ({figure})"
        words.append(f"{share_of_full} at {done.labels[name]:g}, one {TIMES} times as large {more}")
    return f"Over {name} the summary keeps {words[0]}; and {words[1]}."


def _share(done: Done, name: str, what: str) -> str:
    return f"{100 * share_of(done, done, f'{name}: {what}', f'full: {what}').mean:.0f} %"


LIMITS = Study(
    "limits",
    "Where does distillation break: imbalance, very long sequences, large vocabularies, few users?",
    grid,
    conclude,
    source="movielens-small",
)
