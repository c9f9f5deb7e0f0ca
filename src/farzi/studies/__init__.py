"""Studies: questions about distillation, each a grid of rows that are measured one by one and then read."""

from farzi.studies.base import base_recipe as base_recipe
from farzi.studies.base import with_file as with_file
from farzi.studies.bench import CACHE as CACHE
from farzi.studies.bench import Bench as Bench
from farzi.studies.findings import Chart as Chart
from farzi.studies.findings import Curve as Curve
from farzi.studies.findings import Findings as Findings
from farzi.studies.findings import Line as Line
from farzi.studies.findings import Point as Point
from farzi.studies.findings import Table as Table
from farzi.studies.folder import Wanted as Wanted
from farzi.studies.folder import begin as begin
from farzi.studies.folder import recorded as recorded
from farzi.studies.folder import save_setting as save_setting
from farzi.studies.price import Price as Price
from farzi.studies.price import price as price
from farzi.studies.registry import STUDIES as STUDIES
from farzi.studies.rows import ROWS as ROWS
from farzi.studies.rows import Done as Done
from farzi.studies.rows import append_row as append_row
from farzi.studies.rows import read_rows as read_rows
from farzi.studies.runner import Rerun as Rerun
from farzi.studies.runner import current as current
from farzi.studies.runner import left as left
from farzi.studies.runner import measure as measure
from farzi.studies.runner import rerun as rerun
from farzi.studies.runner import row_named as row_named
from farzi.studies.study import Row as Row
from farzi.studies.study import Setting as Setting
from farzi.studies.study import Study as Study
from farzi.studies.study import Work as Work
from farzi.studies.vary import varied as varied

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
    "varied",
    "with_file",
]
