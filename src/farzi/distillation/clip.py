"""How long a metagradient may be."""

import math

from torch import Tensor


class RunningClip:
    """Shortens a metagradient to `factor` times the running mean of the norms.

    One outlier enters the mean with at most three times its value, so that it does not admit the next one.
    """

    def __init__(self, factor: float = 1.0, decay: float = 0.9) -> None:
        self.factor, self.decay = factor, decay
        self.mean: float | None = None

    def __call__(self, gradient: Tensor) -> tuple[Tensor, float]:
        """The clipped gradient and its norm before; zeros and infinity where it is not finite."""
        norm = float(gradient.norm())
        if not math.isfinite(norm):
            return gradient.new_zeros(gradient.shape), math.inf
        if not self.mean:  # no norm so far, or only zeros
            self.mean = norm
        else:
            self.mean = self.decay * self.mean + (1 - self.decay) * min(norm, 3 * self.mean)
        limit = self.factor * self.mean
        return (gradient * (limit / norm) if norm > limit else gradient), norm
