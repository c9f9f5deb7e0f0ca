"""What a summary starts from, before and after it is learnt."""

from collections.abc import Sequence

from farzi.studies.study import Row, Setting, Study
from farzi.studies.sweeps import Sweep, distilled_row, full_row, key_of

STARTS = ("transitions", "classes", "random")


def grid(setting: Setting) -> Sequence[Row]:
    """The full data, and a summary learnt from each start."""
    rows = [full_row(setting)]
    for name in STARTS:
        rows.append(distilled_row(setting, key_of("start", name), {"start": name}, {"summary.start": name}))
    return rows


START = Study(
    "start",
    "What should a summary start from?",
    grid,
    Sweep("start", ("validation at start", "validation"), more=(("Before learning", "validation at start"),)),
)
