"""Temperature: how sharp should soft inputs be?"""

from collections.abc import Sequence

from research.studies.study import Row, Setting, Study
from research.studies.sweeps import Sweep, distilled_row, full_row, key_of

TEMPERATURES = (0.25, 0.5, 1.0, 2.0, 4.0)


def grid(setting: Setting) -> Sequence[Row]:
    """The full data, and a summary at each temperature."""
    rows = [full_row(setting)]
    for value in TEMPERATURES:
        settings = {"summary.temperature": value}
        rows.append(distilled_row(setting, key_of("temperature", value), {"temperature": value}, settings))
    return rows


TEMPERATURE = Study(
    "temperature",
    "How soft should the synthetic positions be?",
    grid,
    Sweep("temperature", ("metagradient norm", "distil seconds"), log=True),
)
