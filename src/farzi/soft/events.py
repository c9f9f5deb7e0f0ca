"""Soft events as values: whole, or as the factors that they are made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from farzi.soft.embedding import soft_embedding


@dataclass(frozen=True, eq=False)
class SoftEvents:
    """Soft events X = softmax(D M), (B, L, V), as their factors.

    Soft labels may have a decoder of their own: they are then softmax(D M′).

    Attributes:
        latents: D, (B, L, d), divided by the temperature already.
        decoder: M, (d, V); its column 0 is padding, which has no probability.
        label_decoder: M′, likewise, of soft labels; None where labels are the soft inputs themselves.
    """

    latents: Tensor
    decoder: Tensor
    label_decoder: Tensor | None = None

    @property
    def factors(self) -> dict[str, Tensor]:
        """The factors by name, as `farzi.unroll` takes data; `SoftEvents(**factors)` is the way back."""
        own = {} if self.label_decoder is None else {"label_decoder": self.label_decoder}
        return {"latents": self.latents, "decoder": self.decoder, **own}

    @property
    def labels(self) -> "SoftEvents":
        """The soft events as they are predicted, to be embedded as any others."""
        return self if self.label_decoder is None else SoftEvents(self.latents, self.label_decoder)

    def __getitem__(self, rows: Any) -> "SoftEvents":
        """Some of the sequences, as `X[rows]`."""
        return SoftEvents(self.latents[rows], self.decoder, self.label_decoder)

    def embedded(self, table: Tensor) -> Tensor:
        """X E, (B, L, width), for a table E (V, width)."""
        flat = soft_embedding(self.latents.flatten(0, 1), self.decoder, table)
        return flat.unflatten(0, self.latents.shape[:2])


Events = Tensor | SoftEvents
"""Sequences of events: indices (B, L), soft events (B, L, V), or the factors of soft events."""


def as_events(data: Events | Mapping[str, Tensor]) -> Events:
    """Events as they are, or of a dict of their factors."""
    return SoftEvents(**data) if isinstance(data, Mapping) else data
