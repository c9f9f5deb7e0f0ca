"""The two kinds of data, as values: how a student is measured on each, and what is said of the figures.

What trains, learns or compares asks `task_of(data)` once and goes by that value; the names of its figures
lead to all the rest (`metrics`).
"""

from dataclasses import dataclass
from typing import Any, Protocol

from farzi.data import Data, Holdout, Passages, Text
from farzi.evaluation.language import PASSAGE, Windows, read_text
from farzi.evaluation.metrics import Figures
from farzi.evaluation.ranking import Seen, evaluate
from farzi.models import SequenceModel
from farzi.summary import LANGUAGE

GLANCE = 50_000
"""Tokens that a text's student is judged by while it is trained."""

Held = Holdout | Passages
"""Held-out data of either kind."""


class Task(Protocol):
    """A kind of data.

    Attributes:
        name: what a summary's `run.json` calls it.
        units: what figures are the mean over, in the plural.
    """

    name: str
    units: str

    def evaluate(self, student: SequenceModel, held: Held) -> Figures:
        """Measure a student. Raises TypeError where `held` is of the other kind."""
        ...

    def score(self, student: SequenceModel, held: Held) -> float:
        """The figure that early stopping and learning rates are decided by; higher is better."""
        ...

    def told(self, score: float) -> str:
        """A score for people, as the metric that it is."""
        ...

    def statement(self, units: int, items: int, window: int) -> str:
        """What the figures are, for people: the end of "Test ..." or "Validation ...".

        Args:
            units: how many the figures are the mean over.
            items: V − 1.
            window: tokens in a training window.
        """
        ...

    def facts(self, window: int) -> dict[str, Any]:
        """How figures are made, as JSON values."""
        ...


@dataclass(frozen=True)
class RecommendationTask:
    """Logs: each user's held-out events are ranked among all items.

    Attributes:
        seen: the treatment of seen items in the ranking.
    """

    seen: Seen = "keep"
    name = "recommendation"
    units = "users"

    def evaluate(self, student: SequenceModel, held: Held) -> Figures:
        """See `Task`."""
        if not isinstance(held, Holdout):
            raise TypeError("a text is not ranked: evaluate it as Language")
        return evaluate(student, held, self.seen)

    def score(self, student: SequenceModel, held: Held) -> float:
        """nDCG@10."""
        return self.evaluate(student, held).means()["nDCG@10"]

    def told(self, score: float) -> str:
        """See `Task`."""
        return f"nDCG@10 {100 * score:.2f} %"

    def statement(self, units: int, items: int, window: int) -> str:
        """See `Task`."""
        seen = "kept in the ranking" if self.seen == "keep" else "left out of the ranking"
        return f"events of {units:,} users ranked among all {items:,} items, seen ones {seen}; per cent"

    def facts(self, window: int) -> dict[str, Any]:
        """See `Task`."""
        return {"seen": self.seen}


@dataclass(frozen=True)
class LanguageTask:
    """Texts: each held-out token is predicted from those before it.

    Attributes:
        stride: tokens that each window predicts (`farzi.evaluation.language`); None: half of its length.
    """

    stride: int | None = None
    name = LANGUAGE
    units = "passages"

    def evaluate(self, student: SequenceModel, held: Held) -> Figures:
        """See `Task`."""
        return read_text(student, _passages(held), self.stride)

    def score(self, student: SequenceModel, held: Held) -> float:
        """1 / perplexity, of `GLANCE` tokens evenly spread."""
        return 1 / read_text(student, _passages(held), tokens=GLANCE).means()["perplexity"]

    def told(self, score: float) -> str:
        """See `Task`."""
        return f"perplexity {1 / score:.1f}" if score > 0 else "no finite perplexity"

    def statement(self, units: int, items: int, window: int) -> str:
        """See `Task`."""
        how = self._windows(window)
        return (
            f"text in {units:,} passages of {PASSAGE} tokens, each token predicted once among all "
            f"{items:,}, from the {how.context} to {how.length} before it (stride {how.stride}); "
            "perplexity a token (lower is better), accuracy in per cent"
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
        raise TypeError("a log is not read token by token: evaluate it as Recommendation")
    return held


def task_of(data: Data, seen: Seen = "keep") -> Task:
    """The kind of a log or a text.

    Args:
        data: the log or the text.
        seen: the treatment of seen items; nothing to a text.
    """
    return LanguageTask() if isinstance(data, Text) else RecommendationTask(seen)
