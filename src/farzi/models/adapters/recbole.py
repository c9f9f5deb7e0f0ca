"""RecBole's sequential models as students, as they are: their item embeddings are given instead of looked up.

RecBole's models read a sequence and give one vector, for what follows the last event; sequences are padded on
the right. How a hidden state comes about at *every* position depends on the model, and is a strategy:

- `EveryPosition`: a causal model (SASRec, GRU4Rec) has them all; the one gathered at the end is one of many;
- `Prefixes`: any other (NARM and most) reads each beginning of the sequence as a sequence of its own, which
  costs as many times more as the sequence is long;
- `MaskedPrefixes`: BERT4Rec, which reads each beginning with its mask token behind it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from farzi.models.base import SequenceModel


class Positions(Protocol):
    """A strategy: how a model that gives one vector a sequence gives one a position."""

    def hidden(self, model: Any, vectors: Tensor, ids: Tensor) -> Tensor:
        """Hidden states of embedded events, (B, L, width), padded on the right, where the ids are 0."""
        ...

    def table(self, model: Any) -> Tensor:
        """The table (V, width) that scores events."""
        ...

    def vocabulary(self, model: Any) -> Tensor:
        """The table (V, width) that embeds events."""
        ...

    def longest(self, model: Any) -> int:
        """Events that the model can read."""
        ...


class _Tied:
    """What most models have in common: one table for all, and positions for the longest sequence."""

    def table(self, model: Any) -> Tensor:
        """See `Positions`."""
        return model.item_embedding.weight

    def vocabulary(self, model: Any) -> Tensor:
        """See `Positions`."""
        return model.item_embedding.weight

    def longest(self, model: Any) -> int:
        """See `Positions`."""
        return model.max_seq_length


@dataclass(frozen=True)
class EveryPosition(_Tied):
    """For causal models whose `forward` ends by gathering the last position."""

    def hidden(self, model: Any, vectors: Tensor, ids: Tensor) -> Tensor:
        """See `Positions`."""
        model.gather_indexes = _all_positions
        try:
            return _run(model, vectors, ids)
        finally:
            del model.gather_indexes


@dataclass(frozen=True)
class Prefixes(_Tied):
    """For any model with `forward(item_seq, item_seq_len)`."""

    def hidden(self, model: Any, vectors: Tensor, ids: Tensor) -> Tensor:
        """See `Positions`."""
        batch, length, width = vectors.shape
        seen = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
        ids = (ids.unsqueeze(1) * seen).flatten(0, 1)  # (B·L, L): row t has the events up to t
        ids[:, 0] = 1  # rows that begin behind the sequence's end, which nobody reads, have an event too
        rows = vectors.unsqueeze(1).expand(batch, length, length, width).flatten(0, 1)
        return _run(model, rows, ids).view(batch, length, -1)


@dataclass(frozen=True)
class MaskedPrefixes:
    """For BERT4Rec; its output bias is a column more of the table, met by a 1 in the hidden states."""

    def hidden(self, model: Any, vectors: Tensor, ids: Tensor) -> Tensor:
        """See `Positions`."""
        batch, length, width = vectors.shape
        place = torch.arange(length + 1, device=ids.device)
        mask = place == place[1:].unsqueeze(1)  # (L, L + 1): behind t
        seen = place < place[1:].unsqueeze(1)
        rows = F.pad(vectors, (0, 0, 0, 1)).unsqueeze(1)  # (B, 1, L + 1, width)
        rows = torch.where(mask.unsqueeze(-1), model.item_embedding.weight[-1], rows).flatten(0, 1)
        ids = (F.pad(ids, (0, 1)).unsqueeze(1) * seen + mask).flatten(0, 1)
        found = _run(model, rows, ids, lengths=False).view(batch, length, length + 1, width)
        found = found[:, place[:-1], place[1:]]
        return F.pad(found, (0, 1), value=1.0)

    def table(self, model: Any) -> Tensor:
        """See `Positions`."""
        return torch.cat([self.vocabulary(model), model.output_bias.unsqueeze(1)], 1)

    def vocabulary(self, model: Any) -> Tensor:
        """See `Positions`: without the mask token, which is last."""
        return model.item_embedding.weight[:-1]

    def longest(self, model: Any) -> int:
        """See `Positions`: the mask token has a position too."""
        return model.max_seq_length - 1


KNOWN: Mapping[str, Positions] = MappingProxyType(
    {"SASRec": EveryPosition(), "GRU4Rec": EveryPosition(), "BERT4Rec": MaskedPrefixes()}
)
"""What a model is by its class; `Prefixes` is right for all others."""


class RecBole(SequenceModel):
    """A sequential model of RecBole, with its dropout off.

    The model stays usable by RecBole itself, its parameters keep their names, and `model.state_dict()` fits
    any other model of its kind.

    Args:
        model: the model; its items are the log's in their order, index 0 being padding in both.
        positions: how it gives a hidden state at every position; by default what its class needs.
    """

    def __init__(self, model: Any, positions: Positions | None = None) -> None:
        super().__init__()
        self.positions = positions or KNOWN.get(type(model).__name__, Prefixes())
        self.length: int = self.positions.longest(model)
        if not isinstance(model.item_embedding, _Given):
            model.item_embedding = _Given(model.item_embedding.weight)
        self.model = model
        self.eval()

    @property
    def embedding(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The model's item embeddings, (V, width)."""
        return self.positions.vocabulary(self.model)

    @property
    def output_table(self) -> Tensor:
        """The table (V, width) that scores events: the embeddings, for most models."""
        return self.positions.table(self.model)

    def train(self, mode: bool = True) -> "RecBole":
        """Dropout stays off whatever is asked for."""
        return super().train(False)

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        ids = torch.ones(vectors.shape[:2], dtype=torch.long, device=vectors.device)
        if real is None:
            return self.positions.hidden(self.model, vectors, ids)
        shift = (~real).sum(1, keepdim=True)
        place = torch.arange(real.shape[1], device=real.device)
        ids = ids * (place < real.shape[1] - shift)
        found = self.positions.hidden(self.model, _turned(vectors, place + shift), ids)
        return _turned(found, place - shift)


class _Given(nn.Module):
    """An embedding table whose look-up gives what is at hand, if something is."""

    def __init__(self, weight: nn.Parameter) -> None:
        super().__init__()
        self.weight = weight
        self.vectors: Tensor | None = None

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.weight) if self.vectors is None else self.vectors


def _run(model: Any, vectors: Tensor, ids: Tensor, lengths: bool = True) -> Tensor:
    """The model's own `forward` on embedded events."""
    model.item_embedding.vectors = vectors
    last = (ids.ne(0).sum(1),) if lengths else ()
    try:
        with torch.backends.cudnn.flags(enabled=False):  # its recurrent kernels have no second derivative
            return model(ids, *last)
    finally:
        model.item_embedding.vectors = None


def _all_positions(output: Tensor, index: Tensor) -> Tensor:
    """In the place of the method that picks one."""
    return output


def _turned(states: Tensor, places: Tensor) -> Tensor:
    """Row b's states at its places (B, L), counted around the end."""
    places = places % states.shape[1]
    return states.gather(1, places.unsqueeze(-1).expand(-1, -1, states.shape[-1]))
