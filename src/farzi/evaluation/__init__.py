"""Ranking metrics, intervals, and the comparison of a summary with its controls."""

from farzi.evaluation.compare import Comparison as Comparison
from farzi.evaluation.compare import Effort as Effort
from farzi.evaluation.compare import Measured as Measured
from farzi.evaluation.compare import compare as compare
from farzi.evaluation.criterion import CRITERION as CRITERION
from farzi.evaluation.criterion import criterion as criterion
from farzi.evaluation.intervals import Interval as Interval
from farzi.evaluation.intervals import paired_ratio as paired_ratio
from farzi.evaluation.intervals import seed_interval as seed_interval
from farzi.evaluation.ranking import Ranking as Ranking
from farzi.evaluation.ranking import Seen as Seen
from farzi.evaluation.ranking import evaluate as evaluate
from farzi.evaluation.shown import SHOWN as SHOWN
from farzi.evaluation.shown import kib as kib
from farzi.evaluation.shown import percent as percent
from farzi.evaluation.shown import shares as shares

__all__ = [
    "CRITERION",
    "SHOWN",
    "Comparison",
    "Effort",
    "Interval",
    "Measured",
    "Ranking",
    "Seen",
    "compare",
    "criterion",
    "evaluate",
    "kib",
    "paired_ratio",
    "percent",
    "seed_interval",
    "shares",
]
