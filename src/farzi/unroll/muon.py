"""Muon: an optimizer that treats matrices as matrices."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from farzi.unroll.optimizers import Count, Hyper, ScheduleFree, at, sqrt

NEWTON_SCHULZ = 3.4445, -4.7750, 2.0315
"""Coefficients whose steps bring singular values quickly to between 0.7 and 1.2."""


@dataclass(frozen=True)
class Muon(ScheduleFree):
    """Schedule-free Muon: matrices move along all their singular directions alike.

    As `ScheduleFree`, but a matrix G (r, c) of the gradient is replaced by √max(r, c) O, not divided by √v̂. O
    is G with all singular values brought near 1, by some Newton-Schulz steps from X = G / (‖G‖ + ε):

        X ← a X + b (X Xᵀ) X + c (X Xᵀ)² X,   a, b, c = 3.4445, −4.7750, 2.0315.

    The factor makes the root mean square of a move 1, as large as Adam's, so that one learning rate serves
    all parameters. A step raises small singular values 3.4 times: few steps keep the metagradient smooth, and
    the authors' five bring more of them to 1. Matrices are the leaves of two dimensions, embedding tables
    among them; every other leaf is divided by √v̂. Adam learns the leading directions of a table first, and
    the others late.

    Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; the factor: Liu et al. 2025, arXiv
    2502.16982, without their 0.2. There is no momentum: the mean of the iterates stands for it.
    """

    elementwise: ClassVar[bool] = False

    learning_rate: Hyper = 0.02
    iterations: int = 3  # Newton-Schulz steps
    shapes: tuple[torch.Size, ...] = ()  # of theta's leaves; the run fills them in

    def on(self, shapes: tuple[torch.Size, ...]) -> Self:
        return replace(self, shapes=shapes)

    def direction(self, gradient: Tensor, root: Tensor, t: Count) -> Tensor:
        sizes = [shape.numel() for shape in self.shapes]
        if not sizes:  # called outside a run
            return super().direction(gradient, root, t)
        parts = []
        for shape, part, own in zip(self.shapes, gradient.split(sizes), root.split(sizes), strict=True):
            matrix = len(shape) == 2
            parts.append(self._matrix(part.view(shape), t) if matrix else super().direction(part, own, t))
        return torch.cat(parts)

    def _matrix(self, gradient: Tensor, t: Count) -> Tensor:
        """√max(r, c) O of a matrix (r, c), flat."""
        flat = orthogonal(gradient, at(self.epsilon, t), self.iterations).reshape(-1)
        return max(gradient.shape) ** 0.5 * flat


def orthogonal(matrix: Tensor, epsilon: Hyper, iterations: int) -> Tensor:
    """G with its singular values brought near 1; (r, c) as G is.

    The steps are polynomials of A = XᵀX, all of which commute, so that only square matrices of the short side
    are multiplied: X ← X Q and A ← Q A Q with Q = a + b A + c A².
    """
    tall = matrix.shape[0] >= matrix.shape[1]
    start = matrix / (sqrt((matrix * matrix).sum()) + epsilon)
    gram = start.mT @ start if tall else start @ start.mT
    a, b, c = NEWTON_SCHULZ
    one = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    total = one
    for _ in range(iterations):
        step = a * one + b * gram + c * gram @ gram
        total, gram = total @ step, step @ gram @ step
    return start @ total if tall else total @ start
