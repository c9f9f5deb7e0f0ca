"""GRU4Rec: recommendation by gated recurrent units (Hidasi et al., arXiv 1511.06939), with cross-entropy."""

from torch import Tensor, nn

from farzi.models.gru import GRULayer
from farzi.models.recurrent import Recurrent


class GRU4Rec(Recurrent):
    """Gated recurrent units, and a dense layer after the last of them, as in RecBole and other libraries.

    Arguments as for `Recurrent`.
    """

    def __init__(
        self,
        vocabulary: int,
        length: int,
        hidden: int = 32,
        layers: int = 1,
        deviation: float = 0.02,
        tied: bool = True,
    ) -> None:
        super().__init__(vocabulary, length, hidden, layers, deviation, tied)
        self.dense = nn.Linear(hidden, hidden)

    @staticmethod
    def layer(hidden: int) -> nn.Module:
        """A `GRULayer`."""
        return GRULayer(hidden)

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        return self.dense(self.outputs(vectors, real))
