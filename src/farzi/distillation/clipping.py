"""Clipping by a running mean of the norm, and the watch on the metagradient's smoothness."""

import math
from collections import deque

from torch import Tensor

SWING = 1000.0
"""A norm that varies by more than this factor within the watched steps is called rough."""
WATCHED = 50


class RunningClip:
    """Shortens a metagradient to `factor` times the running mean of its norms.

    One outlier enters the mean with at most three times its value, so that it cannot open the gate for the
    next.

    Args:
        factor: of the running mean.
        decay: of the running mean.
    """

    def __init__(self, factor: float = 1.0, decay: float = 0.9) -> None:
        self.factor, self.decay = factor, decay
        self.mean: float | None = None

    def __call__(self, gradient: Tensor) -> tuple[Tensor, float]:
        """The clipped gradient and the norm it had; where it is not finite, zero and inf."""
        norm = float(gradient.norm())
        if not math.isfinite(norm):
            return gradient.new_zeros(gradient.shape), math.inf
        if not self.mean:  # nothing seen yet, or nothing but zeros
            self.mean = norm
        else:
            self.mean = self.decay * self.mean + (1 - self.decay) * min(norm, 3 * self.mean)
        limit = self.factor * self.mean
        return (gradient * (limit / norm) if norm > limit else gradient), norm


class Smoothness:
    """Watches the last metagradient norms and says once when they swing by orders of magnitude."""

    def __init__(self) -> None:
        self.norms: deque[float] = deque(maxlen=WATCHED)
        self.warned = False

    def __call__(self, norm: float) -> str | None:
        """A warning in one line, the first time that one is due."""
        self.norms.append(norm)
        if self.warned or len(self.norms) < 10:
            return None
        low, high = min(self.norms), max(self.norms)
        if high <= SWING * low:
            return None
        self.warned = True
        return (
            f"the metagradient is not smooth: its norm swung from {low:.2g} to {high:.2g} within "
            f"{len(self.norms)} steps; raise --epsilon, lower --inner-learning-rate or shorten --window"
        )
