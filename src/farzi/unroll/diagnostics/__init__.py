"""Diagnostics of a run: is its metagradient right, precise and useful, and what will the run take?"""

from farzi.unroll.diagnostics.calibration import Calibration as Calibration
from farzi.unroll.diagnostics.check import check as check
from farzi.unroll.diagnostics.check import compare_precision as compare_precision
from farzi.unroll.diagnostics.plan import Plan as Plan
from farzi.unroll.diagnostics.plan import PlanRow as PlanRow
from farzi.unroll.diagnostics.plan import plan as plan
from farzi.unroll.diagnostics.verdict import Check as Check
from farzi.unroll.diagnostics.verdict import Difference as Difference
from farzi.unroll.diagnostics.verdict import Precision as Precision
from farzi.unroll.diagnostics.verdict import Remedy as Remedy
