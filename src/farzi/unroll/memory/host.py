"""The tape in the host's memory."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from farzi.unroll.memory.store import Store
from farzi.unroll.memory.tape import HERE, Cost, Memory, Place, Replay, Tape


@dataclass(frozen=True)
class OnHost(Memory):
    """Keep in host memory what another strategy keeps, and fetch a step when it is unwound.

    On a GPU its memory then holds the step at work only, and each tensor kept goes over the bus once there
    and once back, from and to pinned memory and in the order of the GPU's own work: nothing waits for it on
    the host. Where the run is on the host this is the other strategy itself.

    Attributes:
        memory: the other strategy.
    """

    memory: Memory = field(default_factory=Store)

    def tape(self, steps: int, replay: Replay, place: Place = HERE) -> Tape:
        return self.memory.tape(steps, replay, Host(replay.device))

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        inner = self.memory.cost(steps, parameters, slots, intermediates)
        return replace(inner, device=0, host=inner.device + inner.host)

    def precision(self, dtype: torch.dtype) -> torch.dtype:
        return self.memory.precision(dtype)

    def keeps_intermediates(self) -> bool:
        return self.memory.keeps_intermediates()


@dataclass(frozen=True)
class Host(Place):
    """Host memory, for a run on `device`."""

    device: torch.device

    def keep(self, tensor: Tensor) -> Tensor:
        pinned = tensor.device.type == "cuda"  # other devices copy at once
        if tensor.device.type == "cpu":
            return tensor
        kept = torch.empty_like(tensor, device="cpu", pin_memory=pinned)
        return kept.copy_(tensor, non_blocking=pinned)

    def fetch(self, kept: Tensor) -> Tensor:
        return kept.to(self.device, non_blocking=self.device.type == "cuda")
