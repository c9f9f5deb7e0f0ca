"""The two tasks as values: how a model is measured on each, and how the figures are described.

Code that trains, distils or compares calls `task_of(data)` once and uses the value it returns.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from farzi.data import Data, Holdout, Passages, Text
from farzi.errors import FarziError
from farzi.evaluation.language import PASSAGE, evaluate_text, stride_of
from farzi.evaluation.metrics import Evaluation
from farzi.evaluation.predictors import LanguageModel, Ranker
from farzi.evaluation.ranking import Seen, evaluate_ranking
from farzi.models import Model
from farzi.progress import time_text
from farzi.recipe import Teach
from farzi.summary import LANGUAGE
from farzi.surroundings import undisturbed

QUICK_TOKENS = 50_000
"""Tokens of a text on which a model is measured while it is trained."""

Held = Holdout | Passages
"""Held-out data of either task."""


def sample(held: Held, teach: Teach) -> Held:
    """What a model is validated on while it is trained on real events: some users of a log, a whole text."""
    return held.sample(teach.validate_users) if isinstance(held, Holdout) else held


def validation_line(task: "Task", step: int, score: float, left: float) -> str:
    """What is told after a validation in a training on real events; at most `left` seconds are left."""
    return f"step {step}, validation {task.score_text(score)}, at most {time_text(left)} left"


@dataclass(frozen=True)
class RecommendationTask:
    """Logs: each user's held-out events are ranked among all items.

    Attributes:
        seen: whether rankings contain the items of a user's history.
        name: as in a summary's `run.json`.
        units: what figures are the mean over, in the plural.
        protocol: what a model must be, and `scores` the method that it must have.
    """

    seen: Seen = "keep"
    name = "recommendation"
    units = "users"
    protocol, scores = "Ranker", "next_scores"

    def evaluate(self, model: Ranker, held: Held) -> Evaluation:
        """Measure a model. Raises TypeError if `held` is of the other task."""
        if not isinstance(held, Holdout):
            raise TypeError("a text is not ranked: use LanguageTask")
        return evaluate_ranking(model, held, self.seen)

    def score(self, model: Ranker, held: Held) -> float:
        """The figure that early stopping and tuning maximise: nDCG@10."""
        return self.evaluate(model, held)["nDCG@10"]

    def score_text(self, score: float) -> str:
        """A score as it is printed, as the metric that it is."""
        return f"nDCG@10 {100 * score:.2f} %"

    def statement(self, units: int, items: int, window: int) -> str:
        """What the figures are: the end of a sentence that starts with "Test" or "Validation".

        Args:
            units: how many the figures are the mean over.
            items: V − 1.
            window: events in a training window.
        """
        seen = "included" if self.seen == "keep" else "excluded"
        return f"events of {units:,} users ranked among all {items:,} items, seen items {seen}; per cent"

    def facts(self, window: int) -> dict[str, Any]:
        """How figures are computed, as JSON values."""
        return {"seen": self.seen}


@dataclass(frozen=True)
class LanguageTask:
    """Texts: each held-out token is predicted from those before it. All else as in `RecommendationTask`.

    Attributes:
        stride: tokens that each window predicts (`farzi.evaluation.language`); half of its length if None.
    """

    stride: int | None = None
    name = LANGUAGE
    units = "passages"
    protocol, scores = "LanguageModel", "last_scores"

    def evaluate(self, model: LanguageModel, held: Held, tokens: int | None = None) -> Evaluation:
        """Measure a model, on about as many tokens as given, spread evenly; on all if None."""
        if not isinstance(held, Passages):
            raise TypeError("a log is not predicted token by token: use RecommendationTask")
        return evaluate_text(model, held, self.stride, tokens)

    def score(self, model: LanguageModel, held: Held) -> float:
        """1 / perplexity, of `QUICK_TOKENS` tokens."""
        return 1 / self.evaluate(model, held, QUICK_TOKENS)["perplexity"]

    def score_text(self, score: float) -> str:
        return f"perplexity {1 / score:.1f}" if score > 0 else "no finite perplexity"

    def statement(self, units: int, items: int, window: int) -> str:
        stride = stride_of(window - 1, self.stride)
        return (
            f"text in {units:,} passages of {PASSAGE} tokens, each token predicted once among all "
            f"{items:,}, from the {window - stride} to {window - 1} before it (stride {stride}); "
            "perplexity per token (lower is better), accuracy in per cent"
        )

    def facts(self, window: int) -> dict[str, Any]:
        stride = stride_of(window - 1, self.stride)
        return {"context": window - stride, "stride": stride, "passage": PASSAGE}


Task = RecommendationTask | LanguageTask


def task_of(data: Data, seen: Seen = "keep", stride: int | None = None) -> Task:
    """The task of a log or a text.

    Args:
        data: the log or the text.
        seen: as for `evaluate`.
        stride: as for `evaluate`.

    Raises:
        FarziError: a stride is given, and the data are a log.
    """
    if isinstance(data, Text):
        return LanguageTask(stride)
    if stride is not None:
        raise FarziError(f"stride is for texts, and {data.name} is a log")
    return RecommendationTask(seen)


@undisturbed(training=False)
def evaluate(
    model: Model | Ranker | LanguageModel,
    data: Data,
    *,
    split: Literal["test", "valid"] = "test",
    seen: Seen = "keep",
    stride: int | None = None,
) -> Evaluation:
    """Measure a model on held-out events, where its network is.

    Args:
        model: from `train` or `Model.load`; or a network or any object of yours that scores the indices of
            the vocabulary of `data`: a `farzi.evaluation.Ranker` for a log, a `LanguageModel` for a text.
        data: a log or text with the vocabulary that the model was trained for.
        split: which held-out events.
        seen: whether rankings contain the items of a user's history; ignored for a text.
        stride: for a text: tokens that each window predicts, at most the model's length; half of it if None.

    Returns:
        The metrics: HR@k, nDCG@k, MRR and AUC of a log; perplexity, accuracy and bits per byte of a text.

    Raises:
        FarziError: the vocabularies differ, the model cannot score such data, or the stride does not fit the
            data or the model.
    """
    network: Any = model
    if isinstance(model, Model):
        model.check(data.vocabulary, data.name)
        network = model.network
    task = task_of(data, seen, stride)
    for name in (task.scores, "length", "device"):
        if not hasattr(network, name):
            raise FarziError(f"model: has no {name}, which a farzi.evaluation.{task.protocol} needs")
    evaluation = task.evaluate(network, data.test if split == "test" else data.valid)
    units = len(next(iter(evaluation.per_unit.values())))
    statement = task.statement(units, len(data.vocabulary) - 1, network.length + 1)
    return replace(evaluation, statement=f"{data.name}, {split} {statement}")
