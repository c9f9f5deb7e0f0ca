"""The two tasks as values: how a model is measured on each, and how the figures are described.

Code that trains, distils or compares calls `task_of(data)` once and uses the value it returns.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from farzi.data import Data, Holdout, Passages, Text
from farzi.evaluation.language import PASSAGE, Windows, evaluate_text
from farzi.evaluation.metrics import Evaluation
from farzi.evaluation.ranking import Seen, evaluate_ranking
from farzi.models import SequenceModel
from farzi.summary import LANGUAGE

QUICK_TOKENS = 50_000
"""Tokens of a text on which a model is measured while it is trained."""

Held = Holdout | Passages
"""Held-out data of either task."""


class Task(Protocol):
    """What a model is measured by.

    Attributes:
        name: as in a summary's `run.json`.
        units: what figures are the mean over, in the plural.
    """

    name: str
    units: str

    def evaluate(self, model: SequenceModel, held: Held) -> Evaluation:
        """Measure a model. Raises TypeError if `held` is of the other task."""
        ...

    def score(self, model: SequenceModel, held: Held) -> float:
        """The figure that early stopping and tuning maximise."""
        ...

    def score_text(self, score: float) -> str:
        """A score as it is printed, as the metric that it is."""
        ...

    def statement(self, units: int, items: int, window: int) -> str:
        """What the figures are: the end of a sentence that starts with "Test" or "Validation".

        Args:
            units: how many the figures are the mean over.
            items: V − 1.
            window: tokens in a training window.
        """
        ...

    def facts(self, window: int) -> dict[str, Any]:
        """How figures are computed, as JSON values."""
        ...


@dataclass(frozen=True)
class RecommendationTask:
    """Logs: each user's held-out events are ranked among all items.

    Attributes:
        seen: whether rankings contain the items of a user's history.
    """

    seen: Seen = "keep"
    name = "recommendation"
    units = "users"

    def evaluate(self, model: SequenceModel, held: Held) -> Evaluation:
        """See `Task`."""
        if not isinstance(held, Holdout):
            raise TypeError("a text is not ranked: use LanguageTask")
        return evaluate_ranking(model, held, self.seen)

    def score(self, model: SequenceModel, held: Held) -> float:
        """nDCG@10."""
        return self.evaluate(model, held).means()["nDCG@10"]

    def score_text(self, score: float) -> str:
        """See `Task`."""
        return f"nDCG@10 {100 * score:.2f} %"

    def statement(self, units: int, items: int, window: int) -> str:
        """See `Task`."""
        seen = "included" if self.seen == "keep" else "excluded"
        return f"events of {units:,} users ranked among all {items:,} items, seen items {seen}; per cent"

    def facts(self, window: int) -> dict[str, Any]:
        """See `Task`."""
        return {"seen": self.seen}


@dataclass(frozen=True)
class LanguageTask:
    """Texts: each held-out token is predicted from those before it.

    Attributes:
        stride: tokens that each window predicts (`farzi.evaluation.language`); half of its length if None.
    """

    stride: int | None = None
    name = LANGUAGE
    units = "passages"

    def evaluate(self, model: SequenceModel, held: Held) -> Evaluation:
        """See `Task`."""
        return evaluate_text(model, _passages(held), self.stride)

    def score(self, model: SequenceModel, held: Held) -> float:
        """1 / perplexity, of `QUICK_TOKENS` tokens spread evenly."""
        return 1 / evaluate_text(model, _passages(held), tokens=QUICK_TOKENS).means()["perplexity"]

    def score_text(self, score: float) -> str:
        """See `Task`."""
        return f"perplexity {1 / score:.1f}" if score > 0 else "no finite perplexity"

    def statement(self, units: int, items: int, window: int) -> str:
        """See `Task`."""
        how = self._windows(window)
        return (
            f"text in {units:,} passages of {PASSAGE} tokens, each token predicted once among all "
            f"{items:,}, from the {how.context} to {how.length} before it (stride {how.stride}); "
            "perplexity per token (lower is better), accuracy in per cent"
        )

    def facts(self, window: int) -> dict[str, Any]:
        """See `Task`."""
        how = self._windows(window)
        return {"context": how.context, "stride": how.stride, "passage": PASSAGE}

    def _windows(self, window: int) -> Windows:
        length = window - 1
        return Windows.half(length) if self.stride is None else Windows(length, self.stride)


def _passages(held: Held) -> Passages:
    if not isinstance(held, Passages):
        raise TypeError("a log is not predicted token by token: use RecommendationTask")
    return held


def task_of(data: Data, seen: Seen = "keep") -> Task:
    """The task of a log or a text.

    Args:
        data: the log or the text.
        seen: whether rankings contain the items of a user's history; ignored for a text.
    """
    return LanguageTask() if isinstance(data, Text) else RecommendationTask(seen)
