"""Strategies around another one: in host memory, and for the last steps only."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from farzi.unroll.memory.tape import HERE, Cost, Memory, Place, Replay, Store, Tape
from farzi.unroll.optimizers import Step


@dataclass(frozen=True)
class OnHost(Memory):
    """Store in host memory what another strategy stores, and fetch a step when it is needed.

    On a GPU its memory then holds only the current step. Each stored tensor crosses the bus once in each
    direction, from and to pinned memory and in the order of the GPU's own work, so the host never waits.
    For a run on the CPU this is the other strategy itself.

    Attributes:
        memory: the other strategy.
    """

    memory: Memory = field(default_factory=Store)

    def tape(self, steps: int, replay: Replay, place: Place = HERE) -> Tape:
        return self.memory.tape(steps, replay, Host(replay.device))

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        inner = self.memory.cost(steps, parameters, slots, intermediates)
        return replace(inner, device=0, host=inner.device + inner.host)


@dataclass(frozen=True)
class Host(Place):
    """Host memory, for a run on `device`. Tensors without memory, of a plan, get none of the device's."""

    device: torch.device

    def keep(self, tensor: Tensor) -> Tensor:
        if self.device.type == "cpu":
            return tensor
        if tensor.is_meta:
            return tensor.new_empty(1).expand(tensor.shape)
        pinned = tensor.device.type == "cuda"  # other devices copy synchronously
        kept = torch.empty_like(tensor, device="cpu", pin_memory=pinned)
        return kept.copy_(tensor, non_blocking=pinned)

    def fetch(self, kept: Tensor) -> Tensor:
        if self.device.type == "cpu":
            return kept
        if kept.is_meta:
            return torch.empty(kept.shape, dtype=kept.dtype, device="meta")
        return kept.to(self.device, non_blocking=self.device.type == "cuda")


@dataclass(frozen=True)
class Window(Memory):
    """Differentiate the last K steps only: truncated back-propagation.

    The state before the window counts as constant, so theta0 gets no gradient if K is less than the number of
    steps. The bias is small where the early steps have little effect on the result, and the metagradient is
    far smoother (RaT-BPTT, arXiv 2310.02835, which also draws the end of the run at random).

    Attributes:
        last: K, the number of differentiated steps.
        memory: how these are stored.
    """

    last: int
    memory: Memory = field(default_factory=Store)

    def __post_init__(self) -> None:
        if self.last < 1:
            raise ValueError(f"Window(last={self.last}): at least one step must be differentiated")

    def tape(self, steps: int, replay: Replay, place: Place = HERE) -> Tape:
        begin = max(0, steps - self.last)
        return _Last(begin, self.memory.tape(steps - begin, replay.shifted(begin), place))

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        return self.memory.cost(min(steps, self.last), parameters, slots, intermediates)


class _Last(Tape):
    def __init__(self, begin: int, inner: Tape) -> None:
        self.begin, self.inner, self.first = begin, inner, begin + inner.first

    def put(self, index: int, step: Step) -> None:
        if index >= self.begin:
            self.inner.put(index - self.begin, step)

    def pop(self, index: int) -> Step:
        return self.inner.pop(index - self.begin)
