"""Studies: questions about distillation, each a grid of rows measured one by one, and conclusions."""

from research.studies.bench import CACHE as CACHE
from research.studies.bench import Bench as Bench
from research.studies.findings import Chart as Chart
from research.studies.findings import Curve as Curve
from research.studies.findings import Findings as Findings
from research.studies.findings import Line as Line
from research.studies.findings import Point as Point
from research.studies.findings import Table as Table
from research.studies.folder import Wanted as Wanted
from research.studies.folder import begin as begin
from research.studies.folder import recorded as recorded
from research.studies.folder import save_setting as save_setting
from research.studies.price import Price as Price
from research.studies.price import price as price
from research.studies.recipes import base_recipe as base_recipe
from research.studies.recipes import with_file as with_file
from research.studies.registry import STUDIES as STUDIES
from research.studies.rows import ROWS as ROWS
from research.studies.rows import Done as Done
from research.studies.rows import append_row as append_row
from research.studies.rows import read_rows as read_rows
from research.studies.runner import Rerun as Rerun
from research.studies.runner import current as current
from research.studies.runner import left as left
from research.studies.runner import measure as measure
from research.studies.runner import rerun as rerun
from research.studies.runner import row_named as row_named
from research.studies.study import Row as Row
from research.studies.study import Setting as Setting
from research.studies.study import Study as Study
from research.studies.study import Work as Work

__all__ = [
    "CACHE",
    "ROWS",
    "STUDIES",
    "Bench",
    "Chart",
    "Curve",
    "Done",
    "Findings",
    "Line",
    "Point",
    "Price",
    "Rerun",
    "Row",
    "Setting",
    "Study",
    "Table",
    "Wanted",
    "Work",
    "append_row",
    "base_recipe",
    "begin",
    "current",
    "left",
    "measure",
    "price",
    "read_rows",
    "recorded",
    "rerun",
    "row_named",
    "save_setting",
    "with_file",
]
