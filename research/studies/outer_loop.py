"""What outer steps add to the initial summary, over its size.

The initial summary holds teachers' predictions at a number of positions, each of one item class. Where these
are few, outer steps can gain much; where they are many, little.
"""

from collections.abc import Sequence

from research.studies.conclusions import (
    counted,
    curve,
    difference_of,
    first,
    having,
    headline_figures,
    level_of,
    table,
    unit,
)
from research.studies.findings import Chart, Findings, listed, paragraph
from research.studies.headline import START, START_ALONE
from research.studies.rows import Done
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import FULL, distilled_row, full_row, key_of

SIZES = ((5, 10), (10, 10), (10, 20), (25, 20))
"""Sequences and their length."""

STEPS = "outer steps"
LEARNT = {START: START_ALONE, STEPS: {}}
"""The changes each makes to the recipe."""

VERDICTS = {
    "is ahead of": "improve on the initial summary",
    "is behind": "are worse than the initial summary",
    "does not differ clearly from": "do not differ clearly from the initial summary",
}
"""The words for outer steps, by `Difference.verdict`."""


def grid(setting: Setting) -> Sequence[Row]:
    """The full data, and for each size the initial summary and the one after all outer steps."""
    rows = [full_row(setting)]
    for sequences, length in SIZES:
        size = f"{sequences} x {length}"
        for learnt, settings in LEARNT.items():
            labels = {"size": size, "events": sequences * length, "learnt": learnt}
            settings = {**settings, "summary.sequences": sequences, "summary.length": length}
            rows.append(distilled_row(setting, key_of(size, learnt), labels, settings))
    return rows


def conclude(rows: Sequence[Done]) -> Findings:
    """Each figure over the number of positions, with and without outer steps, and where they differ."""
    whole, names = first(rows, **{"trained on": FULL}), headline_figures(rows)
    figures = (*names, "best at step", "outer steps", "distil seconds")
    main_table = table(rows, ("trained on", "size", "learnt"), figures, whole)
    charts = tuple(
        Chart(
            name,
            "events of the summary",
            unit(name),
            tuple(curve(having(rows, learnt=learnt), learnt, "events", name) for learnt in LEARNT),
            log=True,
            level=level_of(whole, name),
        )
        for name in names
    )
    sentences = [_sentence(rows, name) for name in names]
    return Findings((main_table,), charts, paragraph([*sentences, counted(rows)]))


def _sentence(rows: Sequence[Done], name: str) -> str:
    """At which sizes outer steps improve a figure, and at which not."""
    by_verdict: dict[str, list[str]] = {}
    for after in having(rows, learnt=STEPS):
        before = first(rows, learnt=START, size=after.labels["size"])
        difference = None if before is None else difference_of(after, before, name)
        if difference is not None:
            by_verdict.setdefault(difference.verdict, []).append(
                f"{after.labels['size']} ({difference.text})"
            )
    sentences = [f"{VERDICTS[verdict]} at {listed(sizes)}" for verdict, sizes in by_verdict.items()]
    return f"In {name} outer steps {'; they '.join(sentences)}." if sentences else ""


OUTER_LOOP = Study(
    "outer-loop",
    "What do outer steps add to the initial summary?",
    grid,
    conclude,
)
