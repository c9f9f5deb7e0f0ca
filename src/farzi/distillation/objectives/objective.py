"""What an outer step differentiates, whatever it is that a summary is wanted for.

Every objective is a loss of where some steps on the summary lead a student. They differ in where the student
stands, in which steps these are, and in what their end is held against. One outer loop serves them all.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from farzi.distillation.loop import InnerLoop
from farzi.distillation.runs import Point
from farzi.distillation.together import Group
from farzi.distillation.weights import Theta
from farzi.summary import Summary
from farzi.unroll import Optimizer, State
from farzi.unroll.execution import TreeLoss


def forget(point: Point) -> None:
    """The `Episode.put` of objectives that do not go on from where the steps end."""


class Episode(NamedTuple):
    """Some steps of a training on the summary, and the loss of where they end.

    Attributes:
        inner: what is trained: inner(theta, data, batch).
        theta: the parameters at the first step.
        state: the optimizer's; None: a fresh one.
        born: the outer step at which the training began.
        optimizer: takes the steps.
        batches: what each of them reads.
        outer: outer(theta) is the loss of the parameters after the last step.
        put: hears where the steps have ended, before the summary moves.
    """

    inner: TreeLoss
    theta: Theta
    state: State | None
    born: int
    optimizer: Optimizer
    batches: Sequence[None] | Tensor
    outer: Callable[[Theta], Tensor]
    put: Callable[[Point], None] = forget


class Objective(Protocol):
    """What a summary is learnt for.

    Attributes:
        group: the inner runs of the recipe's own student.
        figure: what its loss is called in history.jsonl.
    """

    @property
    def group(self) -> Group: ...

    @property
    def figure(self) -> str: ...

    def draw(self, step: int, summary: Summary, loop: InnerLoop) -> Episode:
        """What an outer step differentiates; the same however often it is called before that step."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """All that must be kept to go on later, in an order that `restore` needs kept."""
        ...

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from `tensors()`, among which there may be others."""
        ...
