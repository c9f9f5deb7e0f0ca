"""The full-data models that a summary's first labels come from: their ensemble, and learning from it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from farzi.losses import mean_log_partition
from farzi.models import SequenceModel
from farzi.soft import soft_embedding


@dataclass(frozen=True, eq=False)
class Teachers:
    """Models trained on the full data. Their prediction is the mean of their probabilities.

    Attributes:
        models: one at least, all of one vocabulary and on one device.
        seconds: mean wall-clock seconds of a training.
        key: what determines them.
    """

    models: tuple[SequenceModel, ...]
    seconds: float = 0.0
    key: str = ""

    @property
    def length(self) -> int:
        """The events of a history that all of them read."""
        return min(model.length for model in self.models)

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.models[0].device

    def next_scores(self, histories: Tensor) -> Tensor:
        """As `farzi.evaluation.Ranker`."""
        return self.last_scores(histories, 1)[:, 0]

    @torch.no_grad()
    def last_scores(self, windows: Tensor, count: int) -> Tensor:
        """As `farzi.evaluation.LanguageModel`: log probabilities (B, count, V)."""
        total = torch.zeros(())
        for model in self.models:
            total = total + torch.softmax(model.last_scores(windows, count), -1)
        return (total / len(self.models)).log()

    def loss_of(self, student: SequenceModel) -> Callable[[Tensor], Tensor]:
        """The student's cross-entropy against the mean prediction, at every position that has a next event.

        That is knowledge distillation (Hinton et al. 2015, arXiv 1503.02531) with soft labels alone, at
        temperature 1: the events that really came next count through the teachers only. No array of V
        probabilities per position exists: h · Σ_v p_v E_v needs the mean embedding of each teacher's
        prediction, which `soft_embedding` computes in chunks.

        Returns:
            windows of indices (B, L), padded on the left ↦ the mean loss, in nats; 0 without a next event.
        """

        def loss(windows: Tensor) -> Tensor:
            read, real = windows[:, :-1], windows[:, 1:] > 0
            hidden = student.hidden(student.embed(read), read > 0)[real]
            if len(hidden) == 0:
                return hidden.sum()
            table = student.output_table
            targets = torch.zeros_like(hidden)
            for model in self.models:
                with torch.no_grad():
                    states = model.hidden(model.embed(read), read > 0)[real]
                targets = targets + soft_embedding(states, model.output_table.detach().T, table)
            explained = (hidden * targets).sum(-1).mean() / len(self.models)
            return mean_log_partition(hidden, table[1:]) - explained

        return loss
