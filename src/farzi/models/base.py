"""The base of all models: hidden states from embeddings, an output table, and a model from its settings."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from farzi.data import pad_left
from farzi.errors import FarziError
from farzi.recipe.variants import StudentVariant
from farzi.soft import Events, LabelledEvents, SoftEvents

DEVIATION = 0.02
"""Standard deviation of the first embeddings, positions and spectra, where a model has none of its own."""


class SequenceModel(nn.Module, ABC):
    """A causal sequence model over a vocabulary of V items, index 0 being padding.

    It reads item indices (B, L), padded on the left, or soft inputs X, whose embedding is their mean
    embedding X E: materialized, (B, L, V), or in factors (`SoftEvents`), in which case X is never computed. A
    concrete model sets `embedding` and `length` and defines `hidden`; everything else follows.

    Attributes:
        embedding: the embedding table E, (V, width); its row 0 is never used.
        length: the longest sequence that it reads.
        dropout: the rate of `drop`, which acts in training mode (`train()`) only. 0 unless set.
    """

    embedding: nn.Parameter
    length: int

    def __init__(self) -> None:
        super().__init__()
        # of the instance: as an attribute of the class it would hide a submodule called `dropout`
        self.dropout: float = 0.0

    @abstractmethod
    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        """Hidden states (B, L, width) from embedded items (B, L, width); state t depends on items up to t.

        `real` says which positions hold an item and not padding, (B, L); None if all do.
        """

    @property
    def output_table(self) -> Tensor:
        """The table (V, width) that scores items; the embedding table unless overridden."""
        return self.embedding

    @property
    def device(self) -> torch.device:
        """Of its parameters."""
        return self.embedding.device

    def drop(self, states: Tensor) -> Tensor:
        """Dropout at the rate `dropout` in training mode; the states themselves otherwise."""
        return dropped(states, self.dropout) if self.training and self.dropout else states

    @property
    def any_length(self) -> bool:
        """Whether `length` may be set to more than it was made with, as nothing of it depends on that."""
        return False

    def embed(self, events: Events) -> Tensor:
        """Embeddings (B, L, width) of indices (B, L) or of soft inputs."""
        if isinstance(events, Tensor) and not events.is_floating_point():
            return self.embedding[events] * (events > 0).unsqueeze(-1)
        return _mean_rows(events, self.embedding)

    def embed_twice(self, events: Events) -> tuple[Tensor, Tensor]:
        """A summary's soft inputs by the embedding table, and its soft labels by the output table.

        Both are (B, L, width): one tensor if the tables are tied and there is no label decoder. If only the
        tables differ, both are computed in one pass.
        """
        inputs, outputs = self.embedding, self.output_table
        if isinstance(events, LabelledEvents):
            return events.embedded(inputs), events.labels @ outputs
        if isinstance(events, SoftEvents) and events.label_decoder is not None:
            return events.embedded(inputs), events.labels.embedded(outputs)
        if outputs is inputs:
            embedded = self.embed(events)
            return embedded, embedded
        both = _mean_rows(events, torch.cat([inputs, outputs], dim=1))
        read, labels = both.split([inputs.shape[1], outputs.shape[1]], dim=-1)
        return read, labels

    def forward(self, events: Events) -> Tensor:
        """Scores of every item as the next one at each position, (B, L, V); padding scores −∞."""
        real = events > 0 if isinstance(events, Tensor) and not events.is_floating_point() else None
        scores = self.hidden(self.embed(events), real) @ self.output_table.T
        return scores.index_fill(-1, torch.zeros(1, dtype=torch.long, device=scores.device), -torch.inf)

    @torch.no_grad()
    def next_scores(self, histories: Tensor) -> Tensor:
        """Scores (B, V) of the item after each history (B, L), padded on the left; padding scores −∞."""
        return self.last_scores(histories, 1)[:, 0]

    @torch.no_grad()
    def last_scores(self, windows: Tensor, count: int) -> Tensor:
        """Scores (B, count, V) after each of the last `count` positions of (B, L); padding scores −∞."""
        first = int((windows > 0).any(0).int().argmax())  # what is padding in all of them is not computed
        windows = windows[:, max(0, min(first, windows.shape[1] - count)) :]
        hidden = self.hidden(self.embed(windows), windows > 0)[:, -count:]
        scores = hidden @ self.output_table.T
        scores[..., 0] = -torch.inf
        return scores

    @torch.no_grad()
    def top_k(
        self,
        histories: Any,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        exclude: Sequence[int] | np.ndarray = (),
    ) -> tuple[Tensor, Tensor]:
        """The k items that score highest after each history. By ids: `farzi.Model.recommend`.

        Args:
            histories: B lists of indices in 1..V − 1, oldest first, of any length; the last `length` of each
                are read. Arrays and tensors may take the place of lists, without padding.
            k: number of items, at most V − 1.
            exclude_seen: whether items anywhere in a history are left out.
            exclude: indices of other items to leave out.

        Returns:
            Indices (B, k), best first, and scores (B, k), −∞ where fewer than k items are left.

        Raises:
            FarziError: k is not in 1..V − 1, or histories are no lists of such indices.
        """
        items = len(self.output_table) - 1
        if not 1 <= k <= items:
            raise FarziError(f"k must be between 1 and {items:,}, the number of items, not {k}")
        lists = _index_lists(histories, items)
        scores = self.next_scores(torch.from_numpy(pad_left(lists, self.length)).to(self.device))
        scores[:, torch.as_tensor(np.asarray(exclude, np.int64), device=self.device)] = -torch.inf
        if exclude_seen:
            for row, history in zip(scores, lists, strict=True):
                row[torch.from_numpy(history).to(self.device)] = -torch.inf
        best = scores.topk(k, dim=-1)
        return best.indices, best.values


class TableModel(SequenceModel):
    """A model whose embedding and output tables are its own parameters. A concrete one adds its layers.

    Args:
        vocabulary: V, number of items with padding.
        length: the longest sequence.
        hidden: width of embeddings and hidden states.
        tied: whether items are scored by the embedding table itself; if not, by a second table.
    """

    output: nn.Parameter | None
    deviation: ClassVar[float] = DEVIATION
    """Standard deviation of the first embeddings."""

    def __init__(self, vocabulary: int, length: int, hidden: int = 32, tied: bool = True) -> None:
        super().__init__()
        self.length = length
        self.embedding = nn.Parameter(torch.randn(vocabulary, hidden) * self.deviation)
        output = None if tied else nn.Parameter(torch.randn(vocabulary, hidden) * self.deviation)
        self.register_parameter("output", output)
        self.scale = hidden**0.5  # so that small first embeddings still count beside the layers' own weights

    @property
    def output_table(self) -> Tensor:
        return self.embedding if self.output is None else self.output

    def check_length(self, length: int) -> None:
        """Refuse sequences that are longer than the model's positions, with a ValueError."""
        if length > self.length:
            raise ValueError(f"a sequence of {length} items is longer than the model's length {self.length}")


def dropped(states: Tensor, rate: float) -> Tensor:
    """Dropout (Srivastava et al. 2014): a share of the numbers is set to 0, the others grow by as much.

    On a CPU the rate is rounded to whole 256ths, since one random byte for each number is drawn eight times
    as fast as a random float.
    """
    if not states.is_cpu:
        return F.dropout(states, rate)
    dropped_of_256, count = min(255, max(1, round(256 * rate))), states.numel()
    words = torch.empty(-(-count // 8), dtype=torch.int64).random_(-(2**63), None)
    kept = words.view(torch.uint8)[:count].view(states.shape) >= dropped_of_256
    return states * kept * (256 / (256 - dropped_of_256))


def build_model(student: StudentVariant, vocabulary: int, length: int) -> SequenceModel:
    """A model with fresh random weights from PyTorch's generator, in evaluation mode.

    A class of the user's is called as `Class(vocabulary, length, **settings)`; V counts padding, and `length`
    is that of the longest sequence that the model reads.

    Raises:
        FarziError: the user's class cannot be imported, is no `SequenceModel`, or does not take these
            arguments.
    """
    name = f"student.type {student.type}"
    try:
        model = student.build(vocabulary, length)
    except FarziError as error:
        message = str(error)  # "type ...", or with the path already
        raise FarziError(f"student.{message}" if message.startswith("type ") else message) from error
    if not isinstance(model, SequenceModel):
        raise FarziError(f"{name}: is no model: must be a subclass of farzi.models.SequenceModel")
    for attribute, kind in (("embedding", Tensor), ("length", int)):
        if not isinstance(getattr(model, attribute, None), kind):
            raise FarziError(f"{name}: its __init__ must set self.{attribute}")
    if len(model.embedding) != vocabulary:
        raise FarziError(
            f"{name}: its embedding has {len(model.embedding)} rows, but the vocabulary {vocabulary}"
        )
    return model.eval()


def _index_lists(histories: Any, items: int) -> list[np.ndarray]:
    """Histories of indices, each int64 (n,); FarziError for what is none, or no index in 1..`items`."""
    wanted = f"histories must be lists of indices in 1..{items:,}, one list for each user"
    lists: list[np.ndarray] = []
    try:
        for history in histories:
            array = np.asarray(history.cpu() if isinstance(history, Tensor) else history)
            if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
                raise FarziError(f"{wanted}, not {history!r:.60}; ids are text: Model.recommend takes those")
            lists.append(array.astype(np.int64))
    except (TypeError, ValueError) as error:
        raise FarziError(f"{wanted}, not {histories!r:.60}") from error
    for array in lists:
        if (outside := array[(array < 1) | (array > items)]).size:
            raise FarziError(f"{wanted}; {outside[0]} is none")
    return lists


def _mean_rows(events: Events, table: Tensor) -> Tensor:
    """X E, (B, L, width), for soft inputs X and a table E, (V, width)."""
    return events @ table if isinstance(events, Tensor) else events.embedded(table)
