"""What a summary starts from, before and after it is learnt."""

from collections.abc import Mapping, Sequence

from farzi.recipe import TAUGHT
from farzi.recipe.student import StudentName
from research.studies.study import Row, Setting, Study
from research.studies.sweeps import Sweep, distilled_row, full_row, key_of
from research.studies.vary import KINDS, UNTAUGHT

STARTS = ("transitions", "classes", "random")
OWN = ("taught", "taught-alike", "transitions")
"""Starts of summaries whose targets have a decoder of their own."""


def grid(setting: Setting) -> Sequence[Row]:
    """The full data, a summary learnt from each start, those with targets of their own, and more teachers."""
    rows = [full_row(setting)]
    for name in STARTS:
        changed = {**UNTAUGHT, "summary.start": name}
        rows.append(distilled_row(setting, key_of("start", name), {"start": name}, changed))
    for name in OWN:
        what = {"start": f"{name}, own targets"}
        classes = setting.recipe.summary.classes if name in TAUGHT else None
        changed = {"summary.start": name, "summary.targets": "own", "summary.teachers": ()}
        changed["summary.classes"] = classes
        rows.append(distilled_row(setting, key_of("start", f"{name}-own"), what, changed))
    for many, teachers in _teachers(setting.recipe.student.name).items():
        what = {"start": f"taught by {many}"}
        changed = {"summary.start": "auto", "summary.targets": "own", "summary.teachers": teachers}
        rows.append(distilled_row(setting, key_of("taught-by", many.replace(" ", "-")), what, changed))
    return rows


def _teachers(student: StudentName) -> Mapping[str, tuple[StudentName, ...]]:
    """Further teachers, by how many there are with the student."""
    found: dict[str, tuple[StudentName, ...]] = {"three": (student, student)}
    if student in KINDS:
        found["three kinds"] = tuple(name for name in KINDS if name != student)
    return found


START = Study(
    "start",
    "What should a summary start from?",
    grid,
    Sweep("start", ("validation at start", "validation"), more=(("Before learning", "validation at start"),)),
)
