"""What every student is: hidden states from embeddings, and an output table."""

from abc import abstractmethod

import torch
from torch import Tensor, nn


class Student(nn.Module):
    """A causal sequence model over a vocabulary of V events, index 0 being padding.

    It takes event indices (B, L), padded on the left, or soft events (B, L, V), whose embedding is their mean
    embedding X E. A concrete student gives `hidden`; everything else follows.

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

    def embed(self, events: Tensor) -> Tensor:
        """Embeddings (B, L, width) of indices (B, L) or of soft events (B, L, V)."""
        if events.is_floating_point():
            return events @ self.embedding
        return self.embedding[events] * (events > 0).unsqueeze(-1)

    def forward(self, events: Tensor) -> Tensor:
        """Scores of every event as the next one at each position, (B, L, V); padding scores −∞."""
        real = None if events.is_floating_point() else events > 0
        scores = self.hidden(self.embed(events), real) @ self.output_table.T
        return scores.index_fill(-1, torch.zeros(1, dtype=torch.long, device=scores.device), -torch.inf)

    @torch.no_grad()
    def next_scores(self, histories: Tensor) -> Tensor:
        """Scores (B, V) of the event after each history (B, L), padded on the left."""
        hidden = self.hidden(self.embed(histories), histories > 0)[:, -1]
        scores = hidden @ self.output_table.T
        scores[:, 0] = -torch.inf
        return scores
