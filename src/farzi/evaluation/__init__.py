"""How good models are: their metrics on held-out data, intervals, and a summary beside the full data."""

from farzi.evaluation.compare import Comparison as Comparison
from farzi.evaluation.compare import compare as compare
from farzi.evaluation.intervals import Interval as Interval
from farzi.evaluation.intervals import jackknife_interval as jackknife_interval
from farzi.evaluation.intervals import paired_ratio as paired_ratio
from farzi.evaluation.intervals import seed_interval as seed_interval
from farzi.evaluation.intervals import t_interval as t_interval
from farzi.evaluation.language import evaluate_text as evaluate_text
from farzi.evaluation.metrics import METRICS as METRICS
from farzi.evaluation.metrics import Evaluation as Evaluation
from farzi.evaluation.metrics import aligned as aligned
from farzi.evaluation.metrics import headline_figures as headline_figures
from farzi.evaluation.metrics import headlines as headlines
from farzi.evaluation.metrics import kib as kib
from farzi.evaluation.metrics import metric_of as metric_of
from farzi.evaluation.metrics import shares as shares
from farzi.evaluation.nearness import nearest_windows as nearest_windows
from farzi.evaluation.predictors import LanguageModel as LanguageModel
from farzi.evaluation.predictors import Ranker as Ranker
from farzi.evaluation.ranking import Seen as Seen
from farzi.evaluation.ranking import evaluate_ranking as evaluate_ranking
from farzi.evaluation.tasks import RecommendationTask as RecommendationTask
from farzi.evaluation.tasks import evaluate as evaluate
from farzi.evaluation.tasks import sample as sample
from farzi.evaluation.tasks import task_of as task_of
from farzi.evaluation.trials import Result as Result
