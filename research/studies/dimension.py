"""Latent dimension: are students of a low-rank summary better, and because it regularises?

The paper claims that a low rank keeps the gap between training and test figures small.
"""

from collections.abc import Sequence

from research.studies.conclusions import bare, first, having, interval_of, main_figure, number
from research.studies.findings import Findings
from research.studies.measures import Gap
from research.studies.rows import Done
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import FULL, Sweep, distilled_row, full_row, key_of

DIMS = (2, 4, 8, 16, 32, 64, 128, 256, 512)
LABEL = "d"


def grid(setting: Setting) -> Sequence[Row]:
    """The full data, and a summary of each dimension."""
    rows = [full_row(setting, Gap())]
    for dim in DIMS:
        row = distilled_row(
            setting, key_of("dim", dim), {LABEL: dim}, {"summary.parametrization.dim": dim}, Gap()
        )
        rows.append(row)
    return rows


def conclude(rows: Sequence[Done]) -> Findings:
    """Quality and generalisation gap over d."""
    main = main_figure(rows)
    gap = f"gap: {main}"
    sweep = Sweep(LABEL, (f"training: {main}", gap, "KiB", "distil seconds"), True, (("Gap", gap),))
    findings = sweep(rows)
    swept = having(rows, **{"trained on": "summary"})
    if len(swept) < 2:
        return findings
    ends = swept[0], swept[-1]
    figures = [number(main, interval_of(done, gap).mean) for done in ends]
    text = (
        f" The gap of {bare(main)} between training and test events goes from {figures[0]} at "
        f"{LABEL} = {ends[0].labels[LABEL]} to {figures[1]} at {LABEL} = {ends[1].labels[LABEL]}"
    )
    whole = first(rows, **{"trained on": FULL})
    text += (
        "." if whole is None else f"; of the full data it is {number(main, interval_of(whole, gap).mean)}."
    )
    return Findings(findings.tables, findings.charts, findings.conclusion + text)


DIMENSION = Study(
    "dimension",
    "Which latent dimension d is best, and does a small one regularise?",
    grid,
    conclude,
    summaries=3,
)
