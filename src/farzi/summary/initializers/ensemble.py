"""Students of the full data, asked together what they expect."""

from dataclasses import dataclass

import torch
from torch import Tensor

from farzi.models import SequenceModel


@dataclass(frozen=True, eq=False)
class Ensemble:
    """What several students expect, as one: the softmax of the mean of their logits, their geometric mean.

    Side by side their hidden states and output tables make a student as wide as all of them. What one
    architecture expects that others do not weighs little in it (an ensemble that is distilled: Hinton et al.
    2015, arXiv 1503.02531).

    Attributes:
        students: trained on the full data, of one vocabulary and one length.
    """

    students: tuple[SequenceModel, ...]

    @torch.no_grad()
    def hidden(self, events: Tensor) -> Tensor:
        """Hidden states after events (sequences, length), wherever these are; on the CPU."""
        states = [one.hidden(one.embed(events.to(one.device))).cpu() for one in self.students]
        return torch.cat(states, -1) / len(states)

    @property
    def table(self) -> Tensor:
        """The output table (events, width of all), on the CPU."""
        return torch.cat([one.output_table.detach().cpu() for one in self.students], -1)

    @property
    def points(self) -> Tensor:
        """Where events are: their embeddings in all students (events, width of all), on the CPU."""
        return torch.cat([one.embedding.detach().cpu() for one in self.students], -1)
