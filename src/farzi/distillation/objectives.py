"""What the outer loop minimises: objectives, one variant a class."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from torch import Tensor

from farzi.distillation.inner import InnerRun
from farzi.distillation.weights import Theta
from farzi.unroll import Optimizer, State
from farzi.unroll.execution import TreeLoss

if TYPE_CHECKING:
    from farzi.distillation.refine import OuterLoop


class Episode(NamedTuple):
    """What an outer step differentiates: some steps of a training on the summary, and a loss of their end.

    Attributes:
        inner: the training loss: inner(theta, data, batch).
        theta: the parameters before the first step.
        state: the optimizer's state there; None for a new one.
        started_at: the outer step at which the training started.
        optimizer: takes the steps.
        batches: what each of them reads.
        outer: outer(theta) is the loss of the parameters after the last step.
        finish: called with the end of the steps before the summary changes; None if nothing continues.
    """

    inner: TreeLoss
    theta: Theta
    state: State | None
    started_at: int
    optimizer: Optimizer
    batches: Sequence[None] | Tensor
    outer: Callable[[Theta], Tensor]
    finish: Callable[[InnerRun], None] | None = None


class Objective(Protocol):
    """A loss of where training on the summary leads. Objectives have no state: the outer loop has.

    One that has an attribute `trajectories`, a number above 0, gets the weights recorded along that many
    full-data trainings of the student, in `OuterLoop.trajectories`. A method `check(recipe)`, where there is
    one, raises FarziError if other parts of the recipe do not fit; it is called before anything is trained.
    """

    @property
    def name(self) -> str:
        """What the loss is called in history.jsonl."""
        ...

    def episode(self, loop: "OuterLoop", step: int) -> Episode:
        """What outer step `step` differentiates; the same however often it is called before that step."""
        ...


@dataclass(frozen=True)
class RealLoss:
    """The loss on real windows after the last steps of a training on the summary (arXiv 2310.09983).

    An objective that differs only in the loss of the trained parameters is a class like this one: it hands
    another function to `OuterLoop.truncated`.
    """

    name = "real_loss"

    def episode(self, loop: "OuterLoop", step: int) -> Episode:
        """See `Objective`."""
        return loop.truncated(step, lambda loss, theta, windows: loss.at(theta, windows))
