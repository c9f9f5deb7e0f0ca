"""The tensors of a summary: a few synthetic sequences of distributions over events."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from farzi.recipe import Precision
from farzi.soft import LabelledEvents, SoftEvents
from farzi.summary.precision import restored, stored


@dataclass(frozen=True, eq=False)
class SummaryTensors:
    """μ sequences of ξ positions, each a distribution over V events.

    Soft inputs, which a student reads, are X = softmax(D̃ M / τ). Soft labels, which it learns to predict, are
    X′ = softmax(D̃ M′ / τ), or X if there is no label decoder. With one, inputs can be concentrated on few
    events while labels spread over all that may follow.

    With full logits there are no factors: the latents are the logits, (μ, ξ, V), and the decoder is (0, V).

    Attributes:
        latents: D̃, (μ, ξ, d).
        decoder: M, (d, V); column 0 is padding, whose probability is always 0.
        temperature: τ.
        label_decoder: M′, (d, V); None if soft labels are the soft inputs.
        precision: as what its numbers are stored; `rounded` gives those that come back from a file.

    Raises:
        ValueError: the shapes do not fit each other, or the temperature is not positive.
    """

    latents: Tensor
    decoder: Tensor
    temperature: float = 1.0
    label_decoder: Tensor | None = None
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        shapes = self.latents.ndim == 3 and self.decoder.ndim == 2
        if not shapes or self.dim != self.decoder.shape[int(self.is_full_logits)]:
            raise ValueError(
                "latents must be (sequences, length, dim) and decoder (dim, V), or (0, V) with full logits, "
                f"got {tuple(self.latents.shape)} and {tuple(self.decoder.shape)}"
            )
        labels = self.label_decoder
        if labels is not None and (self.is_full_logits or labels.shape != self.decoder.shape):
            raise ValueError(
                "label_decoder must have the decoder's shape, and full logits have none, got "
                f"{tuple(labels.shape)} and {tuple(self.decoder.shape)}"
            )
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, got {self.temperature}")

    @property
    def is_full_logits(self) -> bool:
        """Whether the latents are the logits themselves."""
        return self.decoder.shape[0] == 0

    @property
    def sequences(self) -> int:
        """μ, the number of sequences."""
        return self.latents.shape[0]

    @property
    def length(self) -> int:
        """ξ, the positions in each sequence."""
        return self.latents.shape[1]

    @property
    def dim(self) -> int:
        """d, the width of the latents; V with full logits."""
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
        """Bytes of all its numbers in a file."""
        return sum(part.numel() * part.element_size() for part in self.stored.values())

    @property
    def stored(self) -> dict[str, Tensor]:
        """The tensors of its file, by name: its parts in `precision`, and their scales."""
        return stored(self.parts, self.precision)

    @property
    def parts(self) -> dict[str, Tensor]:
        """Its tensors by name."""
        parts = {"latents": self.latents, "decoder": self.decoder, "label_decoder": self.label_decoder}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def labels(self) -> "SummaryTensors":
        """The summary whose soft inputs are this one's soft labels."""
        if self.label_decoder is None:
            return self
        return replace(self, decoder=self.label_decoder, label_decoder=None)

    def soft_inputs(self) -> Tensor:
        """X, (μ, ξ, V): what a student reads at each position. Differentiable in latents and decoder."""
        logits = (self.latents if self.is_full_logits else self.latents @ self.decoder) / self.temperature
        padding = torch.zeros_like(logits[0, 0])
        padding[0] = -torch.inf
        return torch.softmax(logits + padding, dim=-1)

    def top_events(self) -> np.ndarray:
        """The most probable event at each position, an index of at least 1: int64, (μ, ξ)."""
        rows = [self.select([row]).soft_inputs()[0, :, 1:].argmax(-1) + 1 for row in range(self.sequences)]
        return torch.stack(rows).cpu().numpy()  # one by one: each takes ξ · V numbers

    def soft_labels(self) -> Tensor:
        """X′, (μ, ξ, V): what a student learns to predict at each position, from those before it."""
        return self.labels.soft_inputs()

    def materialized(self) -> Tensor | dict[str, Tensor]:
        """Soft inputs X; with a label decoder soft inputs and soft labels, by name."""
        if self.label_decoder is None:
            return self.soft_inputs()
        return LabelledEvents(self.soft_inputs(), self.soft_labels()).tensors

    def soft_events(self) -> SoftEvents:
        """Soft inputs and labels as factors, D̃ / τ, M and M′: no array of V probabilities per position.

        Differentiable in all of them.

        Raises:
            ValueError: full logits have no factors.
        """
        if self.is_full_logits:
            raise ValueError("full logits have no factors; use soft_inputs()")
        return SoftEvents(self.latents / self.temperature, self.decoder, self.label_decoder)

    def select(self, sequences: slice | Sequence[int]) -> "SummaryTensors":
        """Some of the sequences, as `latents[sequences]` selects them."""
        return replace(self, latents=self.latents[sequences])

    def reordered(self, order: Tensor) -> "SummaryTensors":
        """The same over other events: event i is this one's event `order[i]`; `order[0]` must be 0.

        Events that are left out get no probability, and the others more in proportion.
        """
        if self.is_full_logits:
            return replace(self, latents=self.latents[..., order], decoder=self.decoder[:, order])
        decoders = {name: part[:, order] for name, part in self.parts.items() if name != "latents"}
        return replace(self, **decoders)

    def rounded(self, precision: Precision) -> "SummaryTensors":
        """What comes back from a file in which it is stored in that precision; the same if done again."""
        fewer = replace(self, precision=precision)
        return replace(fewer, **restored(fewer.stored))

    def detach(self) -> "SummaryTensors":
        """A copy without gradients."""
        return replace(self, **{name: part.detach().clone() for name, part in self.parts.items()})

    def to(self, device: torch.device | str) -> "SummaryTensors":
        """The same on another device."""
        return replace(self, **{name: part.to(device) for name, part in self.parts.items()})
