"""RecBole's sequential models, unchanged: item embeddings are passed to them instead of looked up.

A model of RecBole reads a sequence, padded on the right, and returns one vector, for the item after the last
one. A strategy computes the hidden states at *every* position:

- `EveryPosition`: a causal model (SASRec, GRU4Rec) has them all, and gathers one of them at the end;
- `Prefixes`: any other (NARM and most) reads each prefix as a separate sequence; L times the work;
- `MaskedPrefixes`: BERT4Rec, which reads each prefix with its mask token after it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from farzi.models.base import SequenceModel


class Positions(ABC):
    """A strategy: hidden states at every position, from a model that returns one for each sequence.

    Most models have one table for input and output.
    """

    @abstractmethod
    def hidden(self, model: Any, vectors: Tensor, ids: Tensor) -> Tensor:
        """Hidden states (B, L, width) from embedded items (B, L, width); `ids` (B, L) are 0 at padding."""

    def output_table(self, model: Any) -> Tensor:
        """The table (V, width) that scores items."""
        return self.embedding(model)

    def embedding(self, model: Any) -> Tensor:
        """The table (V, width) that embeds items."""
        return model.item_embedding.weight

    def length(self, model: Any) -> int:
        """The longest sequence that the model reads."""
        return model.max_seq_length


class EveryPosition(Positions):
    """For causal models whose `forward` ends by gathering the last position."""

    def hidden(self, model: Any, vectors: Tensor, ids: Tensor) -> Tensor:
        model.gather_indexes = _all_positions
        try:
            return _run(model, vectors, ids)
        finally:
            del model.gather_indexes


class Prefixes(Positions):
    """For any model with `forward(item_seq, item_seq_len)`."""

    def hidden(self, model: Any, vectors: Tensor, ids: Tensor) -> Tensor:
        batch, length, width = vectors.shape
        read = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
        ids = (ids.unsqueeze(1) * read).flatten(0, 1)  # (B·L, L): row t has the items up to t
        ids[:, 0] = 1  # no row may be empty, not even those of padding, which nothing reads
        rows = vectors.unsqueeze(1).expand(batch, length, length, width).flatten(0, 1)
        return _run(model, rows, ids).view(batch, length, -1)


class MaskedPrefixes(Positions):
    """For BERT4Rec. Its output bias is one more column of the table; hidden states have a 1 for it."""

    def hidden(self, model: Any, vectors: Tensor, ids: Tensor) -> Tensor:
        batch, length, width = vectors.shape
        place = torch.arange(length + 1, device=ids.device)
        mask = place == place[1:].unsqueeze(1)  # (L, L + 1): after t
        read = place < place[1:].unsqueeze(1)
        rows = F.pad(vectors, (0, 0, 0, 1)).unsqueeze(1)  # (B, 1, L + 1, width)
        rows = torch.where(mask.unsqueeze(-1), model.item_embedding.weight[-1], rows).flatten(0, 1)
        ids = (F.pad(ids, (0, 1)).unsqueeze(1) * read + mask).flatten(0, 1)
        states = _run(model, rows, ids, lengths=False).view(batch, length, length + 1, width)
        states = states[:, place[:-1], place[1:]]
        return F.pad(states, (0, 1), value=1.0)

    def output_table(self, model: Any) -> Tensor:
        return torch.cat([self.embedding(model), model.output_bias.unsqueeze(1)], 1)

    def embedding(self, model: Any) -> Tensor:
        return model.item_embedding.weight[:-1]  # the mask token is last

    def length(self, model: Any) -> int:
        return model.max_seq_length - 1  # the mask token needs a position, too


KNOWN: Mapping[str, Positions] = MappingProxyType(
    {"SASRec": EveryPosition(), "GRU4Rec": EveryPosition(), "BERT4Rec": MaskedPrefixes()}
)
"""The strategy of a model, by the name of its class; `Prefixes` is correct for all others."""


class RecBole(SequenceModel):
    """A sequential model of RecBole, with dropout off.

    RecBole can still use the model. Its parameters keep their names: `model.state_dict()` fits any other
    model of the same class and size.

    Args:
        model: the model; its items are those of the data in the same order, index 0 being padding in both.
        positions: how it computes a hidden state at every position; if None, what its class needs.
    """

    def __init__(self, model: Any, positions: Positions | None = None) -> None:
        super().__init__()
        self.positions = positions or KNOWN.get(type(model).__name__, Prefixes())
        self.length: int = self.positions.length(model)
        if not isinstance(model.item_embedding, _PassedEmbedding):
            model.item_embedding = _PassedEmbedding(model.item_embedding.weight)
        self.model = model
        self.eval()

    @property
    def embedding(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.positions.embedding(self.model)

    @property
    def output_table(self) -> Tensor:
        return self.positions.output_table(self.model)

    def train(self, mode: bool = True) -> "RecBole":
        """Stay in evaluation mode, in which dropout is off."""
        return super().train(False)

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        ids = torch.ones(vectors.shape[:2], dtype=torch.long, device=vectors.device)
        if real is None:
            return self.positions.hidden(self.model, vectors, ids)
        shift = (~real).sum(1, keepdim=True)
        place = torch.arange(real.shape[1], device=real.device)
        ids = ids * (place < real.shape[1] - shift)
        states = self.positions.hidden(self.model, _rolled(vectors, place + shift), ids)
        return _rolled(states, place - shift)


class _PassedEmbedding(nn.Module):
    """An embedding table that returns `vectors` in place of a look-up if they are set."""

    def __init__(self, weight: nn.Parameter) -> None:
        super().__init__()
        self.weight = weight
        self.vectors: Tensor | None = None

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.weight) if self.vectors is None else self.vectors


def _run(model: Any, vectors: Tensor, ids: Tensor, lengths: bool = True) -> Tensor:
    """The model's own `forward` on embedded items."""
    model.item_embedding.vectors = vectors
    last = (ids.ne(0).sum(1),) if lengths else ()
    try:
        with torch.backends.cudnn.flags(enabled=False):  # its recurrent kernels have no second derivative
            return model(ids, *last)
    finally:
        model.item_embedding.vectors = None


def _all_positions(output: Tensor, index: Tensor) -> Tensor:
    """Replaces the method that gathers one position."""
    return output


def _rolled(states: Tensor, places: Tensor) -> Tensor:
    """The states (B, L, width) at places (B, L), which wrap around at the end."""
    places = places % states.shape[1]
    return states.gather(1, places.unsqueeze(-1).expand(-1, -1, states.shape[-1]))
