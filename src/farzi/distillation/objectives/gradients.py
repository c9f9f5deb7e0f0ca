"""Gradient matching: the summary must pull a student where real events pull it (DC, arXiv 2006.05929).

No training is differentiated, only its gradient, at one point. A gradient is a run of one step of an odd
optimizer, `Gradient`, so that the engine differentiates it as it does any run.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from farzi.distillation.loop import InnerLoop
from farzi.distillation.objectives.following import Following
from farzi.distillation.objectives.objective import Episode
from farzi.distillation.runs import Point
from farzi.distillation.together import Group
from farzi.distillation.weights import Theta
from farzi.summary import Summary
from farzi.unroll import Optimizer, State

ROUNDING = 1e-5
"""Layers whose real gradient is a smaller part of the whole one are left out: theirs may be 0 but for
rounding, as that of the bias of an attention's keys, and the direction of that is nobody's business."""


@dataclass(frozen=True)
class Gradient(Optimizer):
    """θ ← g: leaves the gradient in the place of the parameters."""

    @property
    def slots(self) -> int:
        """See `Optimizer`."""
        return 0

    def update(self, gradient: Tensor, state: State, theta: Tensor) -> tuple[Tensor, State]:
        """See `Optimizer`."""
        return gradient, State(state.step + 1, ())


@dataclass(frozen=True, eq=False)
class GradientDistance:
    """How far gradients are from those on real events, by the cosine of each layer.

    Attributes:
        group: of the students.
        theta: where they stand.
        windows: real events, (batch, length).
    """

    group: Group
    theta: Theta
    windows: Tensor

    def __call__(self, gradients: Theta) -> Tensor:
        """Σ over layers of 1 − cos, a layer being one tensor of the parameters; the mean over students."""
        pairs = zip(self.group.members(gradients), self._real(), strict=True)
        return torch.stack([_apart(ours, theirs) for ours, theirs in pairs]).mean()

    def _real(self) -> Iterator[Theta]:
        for member in self.group.members(self.theta):
            leaves = {name: value.detach().requires_grad_() for name, value in member.items()}
            with torch.enable_grad():
                loss = self.group.loss.at(leaves, self.windows)
            found = torch.autograd.grad(
                loss, list(leaves.values()), allow_unused=True, materialize_grads=True
            )
            yield dict(zip(leaves, found, strict=True))


def _apart(ours: Theta, theirs: Theta) -> Tensor:
    norms = {name: value.norm() for name, value in theirs.items()}
    least = ROUNDING * torch.stack(list(norms.values())).norm()
    total = 0 * next(iter(ours.values())).sum()  # where no layer is left
    for name, norm in norms.items():
        if not norm <= least:  # nor where it is not finite
            total = total + 1 - (ours[name] * theirs[name]).sum() / (ours[name].norm() * norm)
    return total


class GradientMatching(Following):
    """The distance between a student's gradients, on the summary and on real events, along its training.

    After each outer step the student is trained on the summary for as many steps as a window has. Unlike the
    paper this takes a tensor of parameters as a layer, not each of its rows: most rows of a table of events
    have no gradient in a batch.

    Args:
        students: in training, and the real events.
    """

    figure = "gradient_distance"

    def draw(self, step: int, summary: Summary, loop: InnerLoop) -> Episode:
        """See `Objective`."""
        line, left, windows = self.students.draw(step, summary, loop)
        inner = line.group.inner

        def put(end: Point) -> None:
            window = loop.window_of(left.born)
            line.runs.put(loop.on(summary, inner, left, window.running, window.steps))

        return Episode(
            inner,
            left.theta,
            None,
            left.born,
            Gradient(),
            loop.batches(summary, left.born, left.state.step, 1),
            GradientDistance(line.group, left.theta, windows),
            put,
        )
