"""Summaries made with one architecture and used by another: nine pairs, and one made with all three."""

import math
from collections.abc import Sequence

from farzi.evaluation import Interval
from research.studies.conclusions import counted, first, headline_figures, main_figure, share_of, table
from research.studies.findings import Chart, Curve, Findings, Line, Point, Table, listed
from research.studies.recipes import ARCHITECTURES as KINDS
from research.studies.recipes import of_architecture, with_all
from research.studies.rows import Done
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import FULL, key_of
from research.studies.trainings import Measured, OnReal, OnSummary
from research.studies.transfer import trainings_of_others

ALL = "all three"
NOTHING = Interval(math.nan, math.nan, math.nan)


def grid(setting: Setting) -> Sequence[Row]:
    """Each student trained on the full data, and on the summaries made with each student and with all."""
    rows = []
    for name in KINDS:
        own = of_architecture(setting.recipe.student, name)
        work = Measured(OnReal(setting.recipe, student=own))
        rows.append(setting.row(key_of(FULL, name), {"learnt with": FULL, "student": name}, work))
    for learnt in (*KINDS, ALL):
        student = of_architecture(setting.recipe.student, KINDS[0] if learnt == ALL else learnt)
        with_one = setting.recipe.changed({"student": student})
        recipe = with_all(with_one, KINDS) if learnt == ALL else with_one
        for name in KINDS:
            student = of_architecture(recipe.student, name)
            known = (recipe.student, *recipe.outer.students)
            others = trainings_of_others(recipe.inner, recipe.summary.sequences)
            training = OnSummary(recipe, student=student, among=() if student in known else others)
            rows.append(
                setting.row(
                    key_of(learnt, name), {"learnt with": learnt, "student": name}, Measured(training)
                )
            )
    return rows


def conclude(rows: Sequence[Done]) -> Findings:
    """A 4 x 3 table of shares of the same student's full-data figure, then all figures."""
    main = main_figure(rows)
    lines, curves, off, joint = [], [], [], []
    for learnt in (*KINDS, ALL):
        cells, points = [], []
        for name in KINDS:
            done = first(rows, **{"learnt with": learnt, "student": name})
            whole = first(rows, **{"learnt with": FULL, "student": name})
            share = NOTHING if done is None or whole is None else share_of(done, whole, main)
            if math.isnan(share.mean):
                cells.append("–")
                continue
            points.append(Point(name, *(100 * value for value in share)))
            cells.append(f"{100 * share.mean:.0f} % ({100 * share.low:.0f} to {100 * share.high:.0f})")
            if learnt == ALL:
                joint.append(share.mean)
            elif learnt != name:
                off.append(share.mean)
        lines.append(Line((learnt, *cells)))
        if points:
            curves.append(Curve(f"learnt with {learnt}", tuple(points)))
    heads = ("learnt with", *(f"{name} trained" for name in KINDS))
    shares = Table(heads, tuple(lines), 1, f"{main} as a share of the same student's on the full data")
    whole_table = table(
        rows, ("learnt with", "student"), (*headline_figures(rows), "learning rate"), None, "All"
    )
    charts = (Chart(main, "student", "% of its figure on the full data", tuple(curves), "bars", level=100.0),)
    return Findings((shares, whole_table), charts if curves else (), _sentence(off, joint, main, rows))


def _sentence(off: Sequence[float], joint: Sequence[float], main: str, rows: Sequence[Done]) -> str:
    words = []
    if off:
        words.append(f"off the diagonal {100 * sum(off) / len(off):.0f} %, at worst {100 * min(off):.0f} %")
    if joint:
        words.append(
            f"learnt with {ALL} {100 * sum(joint) / len(joint):.0f} %, at worst {100 * min(joint):.0f} %"
        )
    if not words:
        return counted(rows)
    return f"On average over students, of their {main} on the full data: {listed(words)}. {counted(rows)}"


ARCHITECTURES = Study(
    "architectures",
    "Does a summary made with one architecture serve to train another?",
    grid,
    conclude,
)
