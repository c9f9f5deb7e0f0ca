"""Fresh or pretrained first weights of inner runs, at equal outer steps and at equal seconds.

Inner runs that start along a full-data training see students that are further trained; outer steps cost the
same. The seconds of the full-data training count in all cases, since every run has one as its baseline.
"""

from collections.abc import Sequence

from research.studies.conclusions import (
    best_sentence,
    counted,
    curve,
    first,
    having,
    headline_figures,
    level_of,
    main_figure,
    table,
    unit,
)
from research.studies.findings import Chart, Findings, paragraph
from research.studies.rows import Done
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import FULL, distilled_row, full_row, key_of

WEIGHTS = {
    "fresh": {"type": "fresh"},
    "pretrained": {"type": "pretrained"},
    "mixed": {"type": "pretrained", "share": 0.5},
}
MINUTES = 5.0
"""Minutes of a distillation at equal seconds, if the recipe has a number of steps."""


def grid(setting: Setting) -> Sequence[Row]:
    """The full data, and each kind of first weights twice."""
    outer = setting.recipe.outer
    equal = {
        "steps": {"outer.minutes": None},
        "seconds": {"outer.minutes": outer.minutes or MINUTES},
    }
    rows = [full_row(setting)]
    for what, settings in equal.items():
        for name, weights in WEIGHTS.items():
            labels = {"equal": what, "weights": name}
            changes = {**settings, "outer.weights": weights}
            rows.append(distilled_row(setting, key_of(name, what), labels, changes))
    return rows


def conclude(rows: Sequence[Done]) -> Findings:
    """Two bars for each kind of first weights."""
    whole, main = first(rows, **{"trained on": FULL}), main_figure(rows)
    figures = (*headline_figures(rows), "outer steps", "distil seconds")
    main_table = table(rows, ("trained on", "equal", "weights"), figures, whole)
    kinds = [kind for kind in ("steps", "seconds") if having(rows, equal=kind)]
    curves = tuple(curve(having(rows, equal=kind), f"equal {kind}", "weights", main) for kind in kinds)
    level = level_of(whole, main)
    charts = (Chart("Quality", "first weights", unit(main), curves, "bars", level=level),) if curves else ()
    sentences = []
    for kind in kinds:
        sentence = best_sentence(having(rows, equal=kind), "weights", main, whole)
        if sentence:
            sentences.append(f"At equal {kind}: {sentence[0].lower()}{sentence[1:]}")
    sentences.append(counted(rows))
    return Findings((main_table,), charts, paragraph(sentences))


WEIGHT_STARTS = Study(
    "weights",
    "Should inner runs start from fresh weights, or from weights along a full-data training?",
    grid,
    conclude,
)
