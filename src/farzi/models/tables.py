"""Students with tables of their own: an embedding table, and an output table, tied to it or not."""

import torch
from torch import Tensor, nn

from farzi.models.base import SequenceModel


class TableModel(SequenceModel):
    """A student whose embedding and output tables are its own parameters.

    A concrete one adds its layers and `hidden`.

    Args:
        vocabulary: V, number of events with padding.
        length: the longest sequence.
        hidden: width of embeddings and hidden states.
        deviation: standard deviation of both tables' first values.
        tied: whether events are scored by the embedding table itself; if not, by a table of its own.
    """

    output: nn.Parameter | None

    def __init__(
        self, vocabulary: int, length: int, hidden: int, deviation: float = 0.02, tied: bool = True
    ) -> None:
        super().__init__()
        self.length = length
        self.embedding = nn.Parameter(torch.randn(vocabulary, hidden) * deviation)
        output = None if tied else nn.Parameter(torch.randn(vocabulary, hidden) * deviation)
        self.register_parameter("output", output)
        self.scale = hidden**0.5  # so that small first embeddings still count beside the layers' own weights

    @property
    def output_table(self) -> Tensor:
        """The table (V, width) that scores events."""
        return self.embedding if self.output is None else self.output

    def refuse_longer(self, length: int) -> None:
        """Refuse sequences that are longer than the student's positions.

        Raises:
            ValueError: `length` is above the student's.
        """
        if length > self.length:
            raise ValueError(
                f"a sequence of {length} events is longer than the student's length {self.length}"
            )
