"""How a step is carried out, forward and back: strategies as values.

`Eager` runs autograd at each step. `farzi.unroll.compile.compiled.Compiled` traces each part of a step once
and runs the graphs.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from farzi.unroll.curvature import Curvature, ReverseOverReverse
from farzi.unroll.optimizers import After, Optimizer, PulledBack, State, Step, pull_back_update
from farzi.unroll.trees import StepLoss, gradient

INNER = 512
"""Columns of factors collected before they are multiplied: wide products run at full speed."""


class Sum(ABC):
    """Receives the terms of a sum that has the shape of a leaf of the data."""

    @abstractmethod
    def add(self, part: Tensor) -> None:
        """Add a tensor of the leaf's shape."""

    @abstractmethod
    def add_product(self, left: Tensor, right: Tensor) -> None:
        """Add A B, (m, k) times (k, n), where m n is the leaf's size and n its last dimension."""


class Gathering(Sum):
    """Σ parts + Σ A B, of the shape of a leaf: the cotangent of one leaf of the data, summed over steps.

    Products are not computed one by one. Their factors are put side by side, and multiplied into the sum in
    place once there are `INNER` columns, or once they hold half as much memory as the sum.

    Args:
        leaf: gives shape, dtype and device.
    """

    def __init__(self, leaf: Tensor) -> None:
        self._sum = torch.zeros(leaf.shape, dtype=leaf.dtype, device=leaf.device)
        self._left: list[Tensor] = []
        self._right: list[Tensor] = []

    def add(self, part: Tensor) -> None:
        self._sum.add_(part)

    def add_product(self, left: Tensor, right: Tensor) -> None:
        self._left.append(left)
        self._right.append(right)
        inner = sum(factor.shape[1] for factor in self._left)
        floats = inner * (left.shape[0] + right.shape[1])
        if inner >= INNER or 2 * floats >= self._sum.numel():
            self._multiply()

    def total(self) -> Tensor:
        """The sum so far, of the leaf's shape; not a copy."""
        self._multiply()
        return self._sum

    def _multiply(self) -> None:
        if self._left:
            left, right = torch.cat(self._left, dim=1), torch.cat(self._right, dim=0)
            self._sum.view(left.shape[0], right.shape[1]).addmm_(left, right)
            self._left, self._right = [], []


Intermediates = tuple[Tensor, ...]
"""Tensors that a step's gradient computes, and that the reverse step would otherwise recompute."""


class Execution(ABC):
    """A strategy: how the loss's derivatives and the optimizer's update are carried out."""

    @abstractmethod
    def gradient(self, loss: StepLoss, theta: Tensor) -> Tensor:
        """∇θ L, (P,), detached.

        Raises:
            TypeError: the loss returns something other than a tensor.
            ValueError: it returns a tensor that is not a scalar.
        """

    @abstractmethod
    def product(self, loss: StepLoss, step: Step, direction: Tensor, bars: Sequence[Sum | None]) -> Tensor:
        """(∂²L/∂θ²) u, (P,); (∂²L/∂X∂θ) u is added to `bars`, and ∇θ L told to `loss.again` if computed.

        Args:
            loss: the loss of one step.
            step: that step; intermediates that it lacks are recomputed.
            direction: u, (P,).
            bars: where each leaf's product is added; None for a leaf without a gradient.

        Raises:
            NotImplementedError: an operation of the loss has no second derivative.
        """

    def forward(self, loss: StepLoss, theta: Tensor) -> tuple[Tensor, Intermediates]:
        """∇θ L, (P,), detached, and what is worth storing for the reverse step of the same loss."""
        return self.gradient(loss, theta), ()

    def intermediates(self, loss: StepLoss, theta: Tensor) -> int:
        """Bytes of the intermediates that `forward` with these arguments returns."""
        return 0

    def update(self, optimizer: Optimizer, gradient: Tensor, state: State, theta: Tensor) -> After:
        """`optimizer.update`, detached."""
        return optimizer.update(gradient, state, theta)

    def pull_back(self, optimizer: Optimizer, step: Step, after: Sequence[Tensor]) -> PulledBack:
        """The update's vector-Jacobian product; arguments as for `pull_back_update`."""
        return pull_back_update(optimizer, step, after)


@dataclass(frozen=True)
class Eager(Execution):
    """Autograd at each step; no intermediates are stored.

    Attributes:
        curvature: how second derivatives are computed.
    """

    curvature: Curvature = field(default_factory=ReverseOverReverse)

    def gradient(self, loss: StepLoss, theta: Tensor) -> Tensor:
        return gradient(loss, theta, loss.leaves)

    def product(self, loss: StepLoss, step: Step, direction: Tensor, bars: Sequence[Sum | None]) -> Tensor:
        wanted = [bar is not None for bar in bars]
        slope, theta_part, parts = self.curvature.product(loss, step.theta, loss.leaves, wanted, direction)
        if loss.again is not None:
            loss.again(slope)
        for bar, part in zip(filter(None, bars), parts, strict=True):
            bar.add(part)
        return theta_part
