"""What a summary starts from, before and after it is learnt."""

from collections.abc import Sequence

from farzi.studies.study import Row, Setting, Study
from farzi.studies.sweeps import Sweep, distilled_row, full_row, key_of

STARTS = ("transitions", "classes", "random")
OWN = ("taught", "taught-alike", "transitions")
"""Starts of summaries whose targets have a decoder of their own."""


def grid(setting: Setting) -> Sequence[Row]:
    """The full data, a summary learnt from each start, and those with targets of their own."""
    rows = [full_row(setting)]
    for name in STARTS:
        changed = {"summary.start": name, "summary.targets": "events"}
        rows.append(distilled_row(setting, key_of("start", name), {"start": name}, changed))
    for name in OWN:
        what = {"start": f"{name}, own targets"}
        changed = {"summary.start": name, "summary.targets": "own"}
        rows.append(distilled_row(setting, key_of("start", f"{name}-own"), what, changed))
    return rows


START = Study(
    "start",
    "What should a summary start from?",
    grid,
    Sweep("start", ("validation at start", "validation"), more=(("Before learning", "validation at start"),)),
)
