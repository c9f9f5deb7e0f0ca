"""Several models of the full data, averaged."""

from dataclasses import dataclass

import torch
from torch import Tensor

from farzi.models import SequenceModel


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Teachers whose logits are averaged: the predictions are the geometric mean of theirs.

    The mean logits are a product again: hidden states side by side, divided by the number of models, times
    output tables side by side. See knowledge distillation from an ensemble, Hinton et al. 2015 (arXiv
    1503.02531).

    Attributes:
        models: trained on the full data, all with the same vocabulary and length.
    """

    models: tuple[SequenceModel, ...]

    @torch.no_grad()
    def hidden(self, events: Tensor) -> Tensor:
        """Hidden states (B, L, width of all models) after events (B, L); on the CPU."""
        states = [model.hidden(model.embed(events.to(model.device))).cpu() for model in self.models]
        return torch.cat(states, -1) / len(states)

    @property
    def table(self) -> Tensor:
        """The output table (V, width of all models), on the CPU."""
        return torch.cat([model.output_table.detach().cpu() for model in self.models], -1)

    @property
    def embeddings(self) -> Tensor:
        """The embeddings of events in all models (V, width of all models), on the CPU."""
        return torch.cat([model.embedding.detach().cpu() for model in self.models], -1)
