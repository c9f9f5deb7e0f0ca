"""The cost of distilling, and after how many trainings it pays off, over the number of outer steps."""

import math
from collections.abc import Sequence

from research.studies.conclusions import (
    cell,
    counted,
    first,
    having,
    headline_figures,
    interval_of,
    is_share,
    main_figure,
    share_of,
)
from research.studies.findings import Chart, Curve, Findings, Line, Point, Table, paragraph
from research.studies.rows import Done
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import FULL, distilled_row, full_row, key_of

SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Shares of the recipe's outer steps, or of its minutes."""


def grid(setting: Setting) -> Sequence[Row]:
    """The full data, and summaries with more and more outer steps."""
    outer, rows = setting.recipe.outer, [full_row(setting)]
    for share in SHARES:
        if outer.minutes is None:
            steps = max(1, round(share * outer.steps))
            every = max(1, min(setting.recipe.select.every, steps))
            settings = {"outer.steps": steps, "select.every": every}
            row = distilled_row(setting, key_of("steps", steps), {"budget": f"{steps} steps"}, settings)
        else:
            minutes = share * outer.minutes
            settings = {"outer.minutes": minutes}
            row = distilled_row(setting, key_of("minutes", minutes), {"budget": f"{minutes:g} min"}, settings)
        rows.append(row)
    return rows


def break_even(done: Done, whole: Done) -> float:
    """The number of trainings after which a distillation pays off; inf if never, nan if unknown."""
    saved = interval_of(whole, "train seconds").mean - interval_of(done, "train seconds").mean
    cost = interval_of(done, "distil seconds").mean
    return cost / saved if saved > 0 else math.nan if math.isnan(saved) else math.inf


def conclude(rows: Sequence[Done]) -> Findings:
    """Costs in seconds, in trainings on the full data, and in trainings until break-even."""
    whole, main, names = first(rows, **{"trained on": FULL}), main_figure(rows), headline_figures(rows)
    lines, points = [], []
    heads = (
        "trained on",
        "budget",
        *names,
        "train seconds",
        "distil seconds",
        "full trainings",
        "break-even",
    )
    for done in rows:
        figures = [cell(done, name, whole if is_share(name) else None) for name in (*names, "train seconds")]
        words = (str(done.labels["trained on"]), str(done.labels.get("budget", "–")))
        if whole is None or done is whole or done.failure:
            lines.append(Line((*words, *figures, "–", "–", "–"), done.command))
            continue
        seconds = interval_of(done, "distil seconds").mean
        even = break_even(done, whole)
        costs = (
            f"{seconds:,.0f}",
            f"{seconds / interval_of(whole, 'train seconds').mean:,.1f}",
            "never" if math.isinf(even) else "–" if math.isnan(even) else f"{math.ceil(even):,}",
        )
        lines.append(Line((*words, *figures, *costs), done.command))
        points.append(Point(seconds, *(100 * value for value in share_of(done, whole, main))))
    charts = (
        Chart("Quality for seconds", "seconds of distillation", f"{main}, % of full data",
              (Curve("summary", tuple(points)),), log=True, level=100.0),
    ) if points else ()  # fmt: skip
    sentences = (_sentence(having(rows, **{"trained on": "summary"}), whole, main), counted(rows))
    return Findings((Table(heads, tuple(lines), 2),), charts, paragraph(sentences))


def _sentence(summaries: Sequence[Done], whole: Done | None, main: str) -> str:
    if whole is None or not summaries:
        return ""
    last = summaries[-1]
    full, ours = interval_of(whole, "train seconds").mean, interval_of(last, "train seconds").mean
    seconds, even = interval_of(last, "distil seconds").mean, break_even(last, whole)
    paid = "never pays off" if math.isinf(even) else f"pays off after {math.ceil(even):,} trainings"
    return (
        f"The longest distillation takes {seconds:,.0f} s, {seconds / full:,.1f} trainings on the full data "
        f"of {full:,.1f} s; a training on its summary takes {ours:.2f} s and reaches "
        f"{100 * share_of(last, whole, main).mean:.0f} % of the full data's {main}: it {paid}."
    )


COST = Study(
    "cost", "What does distilling cost, and after how many trainings does it pay off?", grid, conclude
)
