"""The summary: a few synthetic sequences of soft events, in factors."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from farzi.soft import SoftEvents


@dataclass(frozen=True, eq=False)
class SummaryTensors:
    """μ sequences of ξ soft events over V events, X = softmax(D̃ M / τ).

    Or a table, of no factors: X = softmax(D̃ / τ) where the latents are (μ, ξ, V) and the decoder, which would
    be the identity, is (0, V).

    An event is read by what comes after it and predicted by what comes before. By default both meet the same
    distribution. With a decoder of their own the targets are X′ = softmax(D̃ M′ / τ): what is read may then be
    sharp and what is predicted soft, as what may follow is.

    Attributes:
        latents: D̃, (μ, ξ, d).
        decoder: M, (d, V); its column 0 is padding and never gets any weight. (0, V) of a table.
        temperature: τ.
        targets: M′, (d, V), as the decoder; None where events are predicted as they are read.
    """

    latents: Tensor
    decoder: Tensor
    temperature: float = 1.0
    label_decoder: Tensor | None = None

    def __post_init__(self) -> None:
        shapes = self.latents.ndim == 3 and self.decoder.ndim == 2
        if not shapes or self.latents.shape[2] != self.decoder.shape[int(self.is_full_logits)]:
            raise ValueError(
                "latents must be (sequences, length, dim) and decoder (dim, V), or (0, V) of a table, got "
                f"{tuple(self.latents.shape)} and {tuple(self.decoder.shape)}"
            )
        if self.label_decoder is not None and (
            self.is_full_logits or self.label_decoder.shape != self.decoder.shape
        ):
            raise ValueError(
                f"targets must be as the decoder of factors, got {tuple(self.label_decoder.shape)} and "
                f"{tuple(self.decoder.shape)}"
            )
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, got {self.temperature}")

    @property
    def is_full_logits(self) -> bool:
        """Whether it has no factors: its latents are the logits of the events themselves."""
        return self.decoder.shape[0] == 0

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
        """d, the width of the latents; V of a table."""
        return self.latents.shape[2]

    @property
    def vocabulary(self) -> int:
        """V, padding included."""
        return self.decoder.shape[1]

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""
        return self.latents.device

    @property
    def bytes(self) -> int:
        """What its numbers take when stored."""
        return sum(part.numel() * part.element_size() for part in self.parts.values())

    @property
    def parts(self) -> dict[str, Tensor]:
        """Its tensors by their names."""
        own = {} if self.label_decoder is None else {"label_decoder": self.label_decoder}
        return {"latents": self.latents, "decoder": self.decoder, **own}

    @property
    def labels(self) -> "SummaryTensors":
        """The events as they are predicted: M′ in the decoder's place; itself where there is none."""
        return (
            self
            if self.label_decoder is None
            else SummaryTensors(self.latents, self.label_decoder, self.temperature)
        )

    def events(self) -> Tensor:
        """The soft events X as they are read, (μ, ξ, V): distributions, nothing on padding.

        Differentiable in both factors.
        """
        logits = (self.latents if self.is_full_logits else self.latents @ self.decoder) / self.temperature
        padding = torch.zeros_like(logits[0, 0])
        padding[0] = -torch.inf
        return torch.softmax(logits + padding, dim=-1)

    def soft_events(self) -> SoftEvents:
        """The same in factors, D̃ / τ and M, M′ if there is one: what `events` makes is never held.

        Differentiable in all.

        Raises:
            ValueError: a table has none.
        """
        if self.is_full_logits:
            raise ValueError("a table has no factors; its soft events are made whole, by events()")
        return SoftEvents(self.latents / self.temperature, self.decoder, self.label_decoder)

    def reordered(self, order: Tensor) -> "SummaryTensors":
        """The same over other events: event i is this one's event `order[i]`; `order[0]` must be 0.

        Those that are left out get no probability, and the others more in proportion.
        """
        if self.is_full_logits:
            return SummaryTensors(self.latents[..., order], self.decoder[:, order], self.temperature)
        labels = None if self.label_decoder is None else self.label_decoder[:, order]
        return SummaryTensors(self.latents, self.decoder[:, order], self.temperature, labels)

    def detach(self) -> "SummaryTensors":
        """The same numbers without gradients."""
        return self._each(lambda part: part.detach().clone())

    def to(self, device: torch.device | str) -> "SummaryTensors":
        """The same on another device."""
        return self._each(lambda part: part.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "SummaryTensors":
        parts = {name: change(part) for name, part in self.parts.items()}
        return SummaryTensors(**parts, temperature=self.temperature)
