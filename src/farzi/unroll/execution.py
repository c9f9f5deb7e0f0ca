"""How a step is carried out, forward and back: strategies as values.

`Eager` runs autograd at each step: nothing to wait for, anything that PyTorch can differentiate twice.
`Compiled` (`farzi.unroll.compiled`) makes each part of a step a graph once and runs that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from farzi.unroll.curvature import Curvature, ReverseOverReverse, gradient
from farzi.unroll.gathering import Gathering
from farzi.unroll.optimizers import Optimizer, State
from farzi.unroll.trees import Layout, Tree, with_leaves
from farzi.unroll.update import PulledBack, Step, pull_back_update

TreeLoss = Callable[[Any, Any, Any], Tensor]
"""loss(theta, data, batch) -> scalar; theta and data have the structure in which they were given."""


@dataclass(frozen=True, eq=False)
class StepLoss:
    """The loss of one step, as a function of flat parameters and of the data's leaves.

    Attributes:
        loss: as the user gave it.
        layout: of theta.
        data: its structure is what counts.
        batch: the step's entry of the schedule.
    """

    loss: TreeLoss
    layout: Layout
    data: Tree
    batch: Any

    def __call__(self, theta: Tensor, leaves: Sequence[Tensor]) -> Tensor:
        """The loss at parameters (P,) and leaves of the data."""
        return self.loss(self.layout.unflatten(theta), with_leaves(self.data, list(leaves)), self.batch)


Intermediates = tuple[Tensor, ...]
"""Tensors that a step's gradient makes on its way, and that the reverse step would have to make again."""


class Execution(Protocol):
    """A strategy: how the loss's derivatives and the optimizer's update are carried out."""

    def gradient(self, loss: StepLoss, theta: Tensor, leaves: Sequence[Tensor]) -> Tensor:
        """∇θ L, (P,), detached.

        Raises:
            TypeError: the loss gives something else than a tensor.
            ValueError: it gives a tensor that is not a scalar.
        """
        ...

    def forward(
        self, loss: StepLoss, theta: Tensor, leaves: Sequence[Tensor], wanted: Sequence[bool]
    ) -> tuple[Tensor, Intermediates]:
        """∇θ L, (P,), detached, and what is worth keeping for the reverse step of the same loss.

        Args:
            loss: the loss of one step.
            theta: parameters, (P,).
            leaves: leaves of the data.
            wanted: for each of them, whether the reverse step will be asked for its product.

        Raises:
            TypeError: as `gradient`.
            ValueError: as `gradient`.
            NotImplementedError: as `product`.
        """
        ...

    def intermediates(
        self, loss: StepLoss, theta: Tensor, leaves: Sequence[Tensor], wanted: Sequence[bool]
    ) -> int:
        """Bytes that `forward` with these arguments keeps."""
        ...

    def product(
        self,
        loss: StepLoss,
        theta: Tensor,
        leaves: Sequence[Tensor],
        direction: Tensor,
        data_bars: Sequence[Gathering | None],
        intermediates: Intermediates = (),
    ) -> Tensor:
        """(∂²L/∂θ²) u, (P,); (∂²L/∂X∂θ) u is added to `data_bars`.

        Args:
            loss: the loss of one step.
            theta: parameters, (P,).
            leaves: leaves of the data.
            direction: u, (P,).
            data_bars: where each leaf's product goes; None where it is not wanted.
            intermediates: what `forward` gave at the same loss, parameters and data; made again if left out.

        Raises:
            NotImplementedError: an operation of the loss has no second derivative.
        """
        ...

    def update(
        self, optimizer: Optimizer, gradient: Tensor, state: State, theta: Tensor
    ) -> tuple[Tensor, State]:
        """`optimizer.update`, detached."""
        ...

    def pull_back(
        self,
        optimizer: Optimizer,
        hypers: Mapping[str, Tensor],
        step: Step,
        theta_bar: Tensor,
        slots_bar: Sequence[Tensor],
    ) -> PulledBack:
        """`pull_back_update`: the update's vector-Jacobian product."""
        ...


@dataclass(frozen=True)
class Eager:
    """Autograd at each step.

    Attributes:
        curvature: how second derivatives are made.
    """

    curvature: Curvature = field(default_factory=ReverseOverReverse)

    def gradient(self, loss: StepLoss, theta: Tensor, leaves: Sequence[Tensor]) -> Tensor:
        """See `Execution`."""
        return gradient(loss, theta, leaves)

    def forward(
        self, loss: StepLoss, theta: Tensor, leaves: Sequence[Tensor], wanted: Sequence[bool]
    ) -> tuple[Tensor, Intermediates]:
        """See `Execution`; nothing is kept."""
        return gradient(loss, theta, leaves), ()

    def intermediates(
        self, loss: StepLoss, theta: Tensor, leaves: Sequence[Tensor], wanted: Sequence[bool]
    ) -> int:
        """See `Execution`."""
        return 0

    def product(
        self,
        loss: StepLoss,
        theta: Tensor,
        leaves: Sequence[Tensor],
        direction: Tensor,
        data_bars: Sequence[Gathering | None],
        intermediates: Intermediates = (),
    ) -> Tensor:
        """See `Execution`."""
        wanted = [bar is not None for bar in data_bars]
        products = self.curvature.product(loss, theta, leaves, wanted, direction)
        for bar, part in zip(data_bars, products.data, strict=True):
            if bar is not None and part is not None:
                bar.add(part)
        return products.theta

    def update(
        self, optimizer: Optimizer, gradient: Tensor, state: State, theta: Tensor
    ) -> tuple[Tensor, State]:
        """See `Execution`."""
        return optimizer.update(gradient, state, theta)

    def pull_back(
        self,
        optimizer: Optimizer,
        hypers: Mapping[str, Tensor],
        step: Step,
        theta_bar: Tensor,
        slots_bar: Sequence[Tensor],
    ) -> PulledBack:
        """See `Execution`."""
        return pull_back_update(optimizer, hypers, step, theta_bar, slots_bar)
