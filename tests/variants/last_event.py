"""An objective from outside the package: the loss on the last event of each real window alone."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from farzi.distillation import Episode, OuterLoop, Theta
from farzi.training import NextEvent


@dataclass(frozen=True)
class LastEvent:
    """Cross-entropy of the last event of real windows, after a truncation window of training."""

    smoothing: float = 0.0
    name = "last_event_loss"

    def episode(self, loop: OuterLoop, step: int, replica: int = 0) -> Episode:
        return loop.truncated(step, replica, self._loss)

    def _loss(self, model_loss: NextEvent, theta: Theta, windows: Tensor) -> Tensor:
        scores = model_loss.scores(theta, windows[:, :-1])[:, -1, 1:]  # padding is never next
        return F.cross_entropy(scores, windows[:, -1] - 1, label_smoothing=self.smoothing)
