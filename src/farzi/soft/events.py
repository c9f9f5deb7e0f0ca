"""Soft events as values: materialized, or as factors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from farzi.soft.embedding import soft_embedding


@dataclass(frozen=True, eq=False)
class SoftEvents:
    """Soft events X = softmax(D M), (B, L, V), as factors. Soft labels are X, or softmax(D M′).

    Attributes:
        latents: D, (B, L, d), already divided by the temperature.
        decoder: M, (d, V); column 0 is padding, whose probability is always 0.
        label_decoder: M′, (d, V), likewise; None if soft labels are the soft inputs.
    """

    latents: Tensor
    decoder: Tensor
    label_decoder: Tensor | None = None

    @property
    def factors(self) -> dict[str, Tensor]:
        """The factors by name, as `farzi.unroll` takes data; `SoftEvents(**factors)` is the inverse."""
        more = {} if self.label_decoder is None else {"label_decoder": self.label_decoder}
        return {"latents": self.latents, "decoder": self.decoder, **more}

    @property
    def labels(self) -> "SoftEvents":
        """The soft labels, as soft events that can be embedded."""
        return self if self.label_decoder is None else SoftEvents(self.latents, self.label_decoder)

    def __getitem__(self, rows: Any) -> "SoftEvents":
        """Some of the sequences, as `X[rows]` selects them."""
        return SoftEvents(self.latents[rows], self.decoder, self.label_decoder)

    def embedded(self, table: Tensor) -> Tensor:
        """X E, (B, L, width), for a table E (V, width)."""
        flat = soft_embedding(self.latents.flatten(0, 1), self.decoder, table)
        return flat.unflatten(0, self.latents.shape[:2])


Events = Tensor | SoftEvents
"""Sequences of events: indices (B, L), materialized soft events (B, L, V), or factors of soft events."""


def as_events(data: Events | Mapping[str, Tensor]) -> Events:
    """The argument itself, or `SoftEvents` from a dict of factors."""
    return SoftEvents(**data) if isinstance(data, Mapping) else data
