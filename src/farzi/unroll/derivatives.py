"""A step's derivatives as functions of tensors alone, which is what a graph can be traced from."""

from collections.abc import Sequence

from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from farzi.unroll.curvature import Curvature, gradient
from farzi.unroll.execution import StepLoss
from farzi.unroll.trees import tree_names

DIRECTION = 1
"""Its place among the inputs of a product."""


def without_direction(inputs: Sequence[Tensor]) -> list[Tensor]:
    """The inputs of a product that a gradient has as well."""
    return [*inputs[:DIRECTION], *inputs[DIRECTION + 1 :]]


class Derivatives:
    """A loss's derivatives at given tensors.

    Attributes:
        inputs: the tensors that are inputs of its graph.
        subject: what else the graph depends on.
    """

    def __init__(self, loss: StepLoss, tensors: Sequence[Tensor], leaves: Sequence[Tensor]) -> None:
        self.loss, self._count = loss, len(leaves)
        parts, self._spec = tree_flatten(loss.batch)
        self._constants = tuple(None if isinstance(part, Tensor) else (type(part), part) for part in parts)
        batch = [part for part in parts if isinstance(part, Tensor)]
        self.inputs = [tensor.detach() for tensor in (*tensors, *leaves, *batch)]
        self.subject = (loss.loss, loss.layout, tree_names(loss.data), self._spec, self._constants)

    def gradient(self, theta: Tensor, *rest: Tensor) -> list[Tensor]:
        """∇θ L, as a function of the inputs."""
        return [gradient(*self._given(theta, rest))]

    def products(
        self, curvature: Curvature, wanted: Sequence[bool], inputs: Sequence[Tensor]
    ) -> list[Tensor]:
        """∇θ L, (∂²L/∂θ²) u, and (∂²L/∂X∂θ) u where it is wanted, as a function of the inputs."""
        theta, direction, *rest = inputs
        step, _, leaves = self._given(theta, rest)
        slope, product, parts = curvature.product(step, theta, leaves, wanted, direction)
        return [slope, product, *(part for part in parts if part is not None)]

    def _given(self, theta: Tensor, rest: Sequence[Tensor]) -> tuple[StepLoss, Tensor, list[Tensor]]:
        """The loss, θ and the leaves of the data, from the inputs behind the first ones."""
        leaves, batch = rest[: self._count], iter(rest[self._count :])
        parts = [next(batch) if constant is None else constant[1] for constant in self._constants]
        loss = self.loss
        step = StepLoss(loss.loss, loss.layout, loss.data, tree_unflatten(parts, self._spec))
        return step, theta, list(leaves)
