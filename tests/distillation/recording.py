"""A clip that records what it is given, for tests of metagradients."""

from torch import Tensor

from farzi.distillation.refine import RunningClip


class RecordingClip(RunningClip):
    """Records the metagradients that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def __call__(self, gradient: Tensor) -> tuple[Tensor, float]:
        self.seen.append(gradient.clone())
        return super().__call__(gradient)
