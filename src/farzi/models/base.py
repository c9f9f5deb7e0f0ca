"""What every student is: hidden states from embeddings, and an output table."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from farzi.data import pad_left
from farzi.soft import Events, SoftEvents


class SequenceModel(nn.Module):
    """A causal sequence model over a vocabulary of V events, index 0 being padding.

    It takes event indices (B, L), padded on the left, or soft events X, whose embedding is their mean
    embedding X E: whole, (B, L, V), or in factors (`SoftEvents`), which are embedded without being made. A
    concrete student gives `hidden`, which sees embedded events only; everything else follows.

    Attributes:
        embedding: the embedding table E, (V, width); its row 0 never enters.
        length: the longest sequence that it takes.
    """

    embedding: nn.Parameter
    length: int

    @abstractmethod
    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        """Hidden states (B, L, width) from embedded events (B, L, width).

        Args:
            vectors: embedded events.
            real: which positions hold an event, (B, L); None where all do.
        """

    @property
    def output_table(self) -> Tensor:
        """The table (V, width) that scores events: tied to the embedding unless a student says otherwise."""
        return self.embedding

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return self.embedding.device

    def embed(self, events: Events) -> Tensor:
        """Embeddings (B, L, width) of indices (B, L) or of soft events."""
        if isinstance(events, Tensor) and not events.is_floating_point():
            return self.embedding[events] * (events > 0).unsqueeze(-1)
        return _mean_rows(events, self.embedding)

    def embed_twice(self, events: Events) -> tuple[Tensor, Tensor]:
        """Soft events by the embedding table, as they are read, and by the output table, as targets.

        Where the tables are tied, and what is predicted is what is read, both are one tensor (B, L, width);
        where only the latter holds, both tables are gone through once.
        """
        inputs, outputs = self.embedding, self.output_table
        if isinstance(events, SoftEvents) and events.label_decoder is not None:
            return events.embedded(inputs), events.labels.embedded(outputs)
        if outputs is inputs:
            embedded = self.embed(events)
            return embedded, embedded
        both = _mean_rows(events, torch.cat([inputs, outputs], dim=1))
        read, targets = both.split([inputs.shape[1], outputs.shape[1]], dim=-1)
        return read, targets

    def forward(self, events: Events) -> Tensor:
        """Scores of every event as the next one at each position, (B, L, V); padding scores −∞."""
        real = events > 0 if isinstance(events, Tensor) and not events.is_floating_point() else None
        scores = self.hidden(self.embed(events), real) @ self.output_table.T
        return scores.index_fill(-1, torch.zeros(1, dtype=torch.long, device=scores.device), -torch.inf)

    @torch.no_grad()
    def next_scores(self, histories: Tensor) -> Tensor:
        """Scores (B, V) of the event after each history (B, L), padded on the left."""
        hidden = self.hidden(self.embed(histories), histories > 0)[:, -1]
        scores = hidden @ self.output_table.T
        scores[:, 0] = -torch.inf
        return scores

    @torch.no_grad()
    def recommend(
        self, histories: Sequence[Sequence[int] | np.ndarray], k: int = 10, seen: bool = False
    ) -> tuple[Tensor, Tensor]:
        """The k likeliest next events after each history.

        Args:
            histories: B lists of indices, oldest first, of any length; the last `length` events are read.
            k: events wanted; at most V − 1.
            seen: whether events of the history may be recommended again.

        Returns:
            Indices (B, k), the likeliest first, and their scores (B, k); a score is −∞ where fewer are left.
        """
        scores = self.next_scores(torch.from_numpy(pad_left(histories, self.length)).to(self.device))
        if not seen:
            for row, history in zip(scores, histories, strict=True):
                row[torch.as_tensor(np.asarray(history, np.int64), device=self.device)] = -torch.inf
        found = scores.topk(k, dim=-1)
        return found.indices, found.values


def _mean_rows(events: Events, table: Tensor) -> Tensor:
    """X E, (B, L, width), for soft events X and a table E, (V, width)."""
    return events.embedded(table) if isinstance(events, SoftEvents) else events @ table
