"""How many inner runs an outer step differentiates: one, or several side by side.

The runs of a group begin with weights of their own and go through the same steps at the same time, so that
they are one run of stacked parameters (`farzi.unroll.stacked_loss`). The metagradient is the mean of theirs:
less noise for more work, of which a machine that one small student does not fill does much at no cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from farzi.distillation.weights import Theta, Weights
from farzi.training import NextEvent
from farzi.unroll import stack, stacked_loss, unstack
from farzi.unroll.execution import TreeLoss


class Group(Protocol):
    """The inner runs of an outer step, as one run.

    Attributes:
        loss: a student's.
        inner: what their parameters are trained on; always the same function, by which compiled runs know it.
        runs: how many.
    """

    @property
    def loss(self) -> NextEvent: ...

    @property
    def inner(self) -> TreeLoss: ...

    @property
    def runs(self) -> int: ...

    def members(self, theta: Theta) -> list[Theta]:
        """The parameters of each of them."""
        ...

    def joined(self, members: Sequence[Theta]) -> Theta:
        """The way back."""
        ...

    def outer(self, theta: Theta, windows: Tensor) -> Tensor:
        """The mean of their losses on real events."""
        ...

    def weights(self, weights: Weights) -> Weights:
        """First weights of all of them."""
        ...


@dataclass(frozen=True, eq=False)
class Alone:
    """One run.

    Attributes:
        loss: the student's.
    """

    loss: NextEvent

    @property
    def inner(self) -> TreeLoss:
        """See `Group`."""
        return self.loss.at

    @property
    def runs(self) -> int:
        """See `Group`."""
        return 1

    def members(self, theta: Theta) -> list[Theta]:
        """See `Group`."""
        return [theta]

    def joined(self, members: Sequence[Theta]) -> Theta:
        """See `Group`."""
        (theta,) = members
        return theta

    def outer(self, theta: Theta, windows: Tensor) -> Tensor:
        """See `Group`."""
        return self.loss.at(theta, windows)

    def weights(self, weights: Weights) -> Weights:
        """See `Group`."""
        return weights


@dataclass(frozen=True, eq=False)
class Together:
    """Several runs; each leaf of their parameters is (runs, ...).

    Attributes:
        loss: the student's.
        runs: how many.
    """

    loss: NextEvent
    runs: int
    inner: TreeLoss = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inner", stacked_loss(self.loss.at))

    def members(self, theta: Theta) -> list[Theta]:
        """See `Group`."""
        return unstack(theta)

    def joined(self, members: Sequence[Theta]) -> Theta:
        """See `Group`."""
        return stack(members)

    def outer(self, theta: Theta, windows: Tensor) -> Tensor:
        """See `Group`."""
        return torch.stack([self.loss.at(member, windows) for member in self.members(theta)]).mean()

    def weights(self, weights: Weights) -> Weights:
        """See `Group`."""

        def several(rng: np.random.Generator) -> Any:
            return self.joined([weights(rng) for _ in range(self.runs)])

        return several


def group(loss: NextEvent, runs: int) -> Group:
    """The group of so many runs."""
    return Alone(loss) if runs == 1 else Together(loss, runs)
