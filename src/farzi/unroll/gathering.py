"""A sum that grows over the steps, in place: the cotangent of one leaf of the data."""

import torch
from torch import Tensor

INNER = 512
"""Columns of factors gathered before they are multiplied: a wide product runs at the machine's full speed."""


class Gathering:
    """Σ parts + Σ A B, of the shape of a leaf.

    Products are not made one by one: their factors are put side by side, and multiplied into the sum in place
    when there are enough of them, or when they hold half as much memory as the sum.

    Args:
        leaf: gives shape, dtype and device.
    """

    def __init__(self, leaf: Tensor) -> None:
        self._sum = torch.zeros(leaf.shape, dtype=leaf.dtype, device=leaf.device)
        self._left: list[Tensor] = []
        self._right: list[Tensor] = []

    def add(self, part: Tensor) -> None:
        """Add a tensor of the leaf's shape."""
        self._sum.add_(part)

    def add_product(self, left: Tensor, right: Tensor) -> None:
        """Add A B, (m, k) times (k, n), where m n is the leaf's size and n its last dimension."""
        self._left.append(left)
        self._right.append(right)
        inner = sum(factor.shape[1] for factor in self._left)
        floats = inner * (left.shape[0] + right.shape[1])
        if inner >= INNER or 2 * floats >= self._sum.numel():
            self._multiply()

    def total(self) -> Tensor:
        """The sum so far, of the leaf's shape; it goes on being added to."""
        self._multiply()
        return self._sum

    def _multiply(self) -> None:
        if self._left:
            left, right = torch.cat(self._left, dim=1), torch.cat(self._right, dim=0)
            self._sum.view(left.shape[0], right.shape[1]).addmm_(left, right)
            self._left, self._right = [], []
