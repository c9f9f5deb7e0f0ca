"""Ranking and language metrics, intervals, and the comparison of a summary with its controls."""

from farzi.evaluation.compare import Comparison as Comparison
from farzi.evaluation.compare import compare as compare
from farzi.evaluation.intervals import Interval as Interval
from farzi.evaluation.intervals import difference_interval as difference_interval
from farzi.evaluation.intervals import jackknife_interval as jackknife_interval
from farzi.evaluation.intervals import paired_ratio as paired_ratio
from farzi.evaluation.intervals import seed_interval as seed_interval
from farzi.evaluation.language import Windows as Windows
from farzi.evaluation.language import read_text as read_text
from farzi.evaluation.metrics import METRICS as METRICS
from farzi.evaluation.metrics import Figures as Figures
from farzi.evaluation.metrics import Metric as Metric
from farzi.evaluation.metrics import headlines as headlines
from farzi.evaluation.metrics import metric_of as metric_of
from farzi.evaluation.metrics import percent as percent
from farzi.evaluation.ranking import Seen as Seen
from farzi.evaluation.ranking import evaluate as evaluate
from farzi.evaluation.shown import headline_figures as headline_figures
from farzi.evaluation.shown import kib as kib
from farzi.evaluation.shown import shares as shares
from farzi.evaluation.tasks import LanguageTask as LanguageTask
from farzi.evaluation.tasks import RecommendationTask as RecommendationTask
from farzi.evaluation.tasks import Task as Task
from farzi.evaluation.tasks import task_of as task_of
from farzi.evaluation.transfer import transfer as transfer
from farzi.evaluation.trials import Result as Result
