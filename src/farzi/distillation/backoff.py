"""What a run does where its outer loop diverges: it goes back to its best state, at a lower rate."""

from typing import Any

from farzi.distillation.refine import OuterLoop
from farzi.progress import counted
from farzi.states import check_like

FACTOR, LIMIT = 0.25, 3
"""What the outer learning rate is multiplied by, and how often; a run that still diverges is not helped."""

LOST = 0.8
"""A validation below this share of the initial summary's score, and clearly so, is a divergence."""


class Backoff:
    """The best validated state of the outer loop, and how often it went back there.

    Attributes:
        events: each return, as JSON values: `outer_step`, `reason`, `back_to` (an outer step) and `factor` of
            the outer learning rate from then on.
    """

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._score: float | None = None
        self._step = 0
        self._best: dict[str, Any] | None = None

    @property
    def factor(self) -> float:
        """What the outer learning rate is multiplied by."""
        return FACTOR ** len(self.events)

    def offer(self, loop: OuterLoop, score: float) -> None:
        """Keep the loop's state, if it is the best."""
        if self._score is None or score > self._score:
            self._best, self._score, self._step = loop.moment(), score, loop.step

    def back(self, loop: OuterLoop, reason: str) -> str | None:
        """Take the loop back to the best state; a line that says so, or None if that was done too often.

        The number of outer steps does not go back: what follows has other draws, and the run ends as planned.
        """
        if self._best is None or len(self.events) == LIMIT:
            return None
        loop.return_to(self._best)
        step, number = loop.step, len(self.events) + 1
        event = {"outer_step": step, "reason": reason, "back_to": self._step, "factor": FACTOR**number}
        self.events.append(event)
        there = f"the state after outer step {self._step}" if self._step else "the initial summary"
        return (
            f"outer step {step}: {reason}; back to {there}, from now on with {self.factor:.2g} of the outer "
            f"learning rate ({number} of at most {counted(LIMIT, 'time')})"
        )

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to continue later: nested dicts and lists of tensors and JSON values."""
        return {"events": self.events, "score": self._score, "step": self._step, "best": self._best}

    def load_state_dict(self, state: dict[str, Any], loop: OuterLoop) -> None:
        """Continue from `state_dict()`; ValueError where it is that of another loop."""
        best, own = state["best"], loop.moment()
        if best is not None:
            check_like(best, own | {"clip_mean": None}, "the best state")  # None before any outer step
            best = {name: best[name] for name in own}
        self.events, self._score, self._step = list(state["events"]), state["score"], state["step"]
        self._best = best
