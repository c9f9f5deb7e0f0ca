"""A model from outside the package: the mean of the embeddings so far, through one layer."""

import torch
from torch import Tensor, nn

from farzi.models import SequenceModel


class Averager(SequenceModel):
    """The hidden state after a position is a layer of the mean embedding up to it."""

    def __init__(self, vocabulary: int, length: int, width: int = 8) -> None:
        super().__init__()
        self.length = length
        self.embedding = nn.Parameter(torch.randn(vocabulary, width) * 0.1)
        self.layer = nn.Linear(width, width)

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        count = torch.ones(vectors.shape[:2]) if real is None else real.float()
        mean = vectors.cumsum(1) / count.cumsum(1).clamp(min=1).unsqueeze(-1)
        return torch.tanh(self.layer(mean))
