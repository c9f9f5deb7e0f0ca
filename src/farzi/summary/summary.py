"""The summary: a few synthetic sequences of soft events, in factors."""

from dataclasses import dataclass

import torch
from torch import Tensor

from farzi.soft import SoftEvents


@dataclass(frozen=True, eq=False)
class Summary:
    """μ sequences of ξ soft events over V events, X = softmax(D̃ M / τ).

    Attributes:
        latents: D̃, (μ, ξ, d).
        decoder: M, (d, V); its column 0 is padding and never gets any weight.
        temperature: τ.
    """

    latents: Tensor
    decoder: Tensor
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.latents.ndim != 3 or self.decoder.ndim != 2 or self.latents.shape[2] != self.decoder.shape[0]:
            raise ValueError(
                "latents must be (sequences, length, dim) and decoder (dim, V), got "
                f"{tuple(self.latents.shape)} and {tuple(self.decoder.shape)}"
            )
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, got {self.temperature}")

    @property
    def sequences(self) -> int:
        """μ, the number of sequences."""
        return self.latents.shape[0]

    @property
    def length(self) -> int:
        """ξ, the events in each sequence."""
        return self.latents.shape[1]

    @property
    def dim(self) -> int:
        """d, the width of the latents."""
        return self.latents.shape[2]

    @property
    def vocabulary(self) -> int:
        """V, padding included."""
        return self.decoder.shape[1]

    @property
    def bytes(self) -> int:
        """What its numbers take when stored."""
        return sum(part.numel() * part.element_size() for part in (self.latents, self.decoder))

    def events(self) -> Tensor:
        """The soft events X, (μ, ξ, V): distributions, nothing on padding. Differentiable in both factors."""
        logits = self.latents @ self.decoder / self.temperature
        padding = torch.zeros_like(logits[0, 0])
        padding[0] = -torch.inf
        return torch.softmax(logits + padding, dim=-1)

    def soft_events(self) -> SoftEvents:
        """The same in factors, D̃ / τ and M: what `events` makes is never held. Differentiable in both."""
        return SoftEvents(self.latents / self.temperature, self.decoder)

    def detach(self) -> "Summary":
        """The same numbers without gradients."""
        return Summary(self.latents.detach().clone(), self.decoder.detach().clone(), self.temperature)
