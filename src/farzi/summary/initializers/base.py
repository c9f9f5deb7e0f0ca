"""The protocol of initializers, what several of them need, and the simplest one.

The initial summary matters as much as the outer loop. `TeacherInitializer` is the default; without teachers,
`TransitionInitializer` is meant for logs and `ClassInitializer` for texts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from farzi.data import Sequences, crops
from farzi.models import SequenceModel
from farzi.operations import chunks
from farzi.summary.tensors import SummaryTensors


@dataclass(frozen=True)
class Size:
    """The shape of a summary, (μ, ξ, d) and (d, V), its temperature τ, and whether it has a label decoder."""

    sequences: int
    length: int
    dim: int
    vocabulary: int
    temperature: float = 1.0
    label_decoder: bool = False


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Teachers whose logits are averaged: the predictions are the geometric mean of theirs.

    The mean logits are a product again: hidden states side by side, divided by the number of models, times
    output tables side by side (Hinton et al. 2015, arXiv 1503.02531). All tensors are on the CPU.

    Attributes:
        models: trained on the full data, all with the same vocabulary and length.
    """

    models: tuple[SequenceModel, ...]

    @torch.no_grad()
    def hidden(self, events: Tensor) -> Tensor:
        """Hidden states (B, L, width of all models) after events (B, L), padded on the left."""
        real = events > 0
        states = [
            model.hidden(
                model.embed(events.to(model.device)), None if bool(real.all()) else real.to(model.device)
            ).cpu()
            for model in self.models
        ]
        return torch.cat(states, -1) / len(states)

    @property
    def length(self) -> int:
        """The longest sequence that all of them read."""
        return min(model.length for model in self.models)

    @property
    def table(self) -> Tensor:
        """The output table (V, width of all models)."""
        return torch.cat([model.output_table.detach().cpu() for model in self.models], -1)

    @property
    def embeddings(self) -> Tensor:
        """The embeddings of events in all models (V, width of all models)."""
        return torch.cat([model.embedding.detach().cpu() for model in self.models], -1)


class Initializer(Protocol):
    """Makes the initial summary.

    An initializer that uses full-data models also has an attribute `teachers`: how many trainings of the
    recipe's student it needs (0 if there is no such attribute). It may have `others`, the settings of further
    teachers.
    """

    def __call__(
        self, size: Size, log: Sequences, rng: np.random.Generator, teachers: Ensemble | None
    ) -> SummaryTensors:
        """A summary of that size, from the training sequences `log`; all random draws come from `rng`.

        `teachers` are models trained on the full data; None where the initializer needs none.
        """
        ...


@dataclass(frozen=True)
class RandomInitializer:
    """Normal latents and decoder; `spread` is the standard deviation of the logits."""

    spread: float = 1.0

    def __call__(
        self, size: Size, log: Sequences, rng: np.random.Generator, teachers: Ensemble | None = None
    ) -> SummaryTensors:
        latents = rng.standard_normal((size.sequences, size.length, size.dim))
        noise = rng.standard_normal((size.dim, size.vocabulary))
        decoder = noise * self.spread * size.temperature / size.dim**0.5
        return SummaryTensors(single(latents), single(decoder), size.temperature)


def real_windows(log: Sequences, sequences: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Random windows of the log, (sequences, length), without padding.

    If no sequence is long enough, shorter windows are repeated to fill the length.
    """
    long = log.select(log.lengths >= length)
    windows = crops(long if len(long) else log, length, sequences, rng)
    for row in windows:
        real = row[row > 0]
        row[:] = np.resize(real[::-1], length)[::-1]
    return windows


def followers(log: Sequences, vocabulary: int, ahead: int = 1, weight: float = 1.0) -> sparse.csr_matrix:
    """(V, V): how often one event comes `ahead` events after another, times `weight`."""
    owner = np.repeat(np.arange(len(log)), log.lengths)
    same = owner[:-ahead] == owner[ahead:]
    pair = (log.items[:-ahead][same], log.items[ahead:][same])
    counts = sparse.coo_matrix((np.full(int(same.sum()), weight), pair), shape=(vocabulary, vocabulary))
    return sparse.csr_matrix(counts)


def single(array: np.ndarray) -> Tensor:
    """The array as a tensor in single precision."""
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def add_gradient(
    latents: Tensor,
    decoder: Tensor,
    latents_bar: Tensor,
    decoder_bar: Tensor,
    target: Callable[[slice], Tensor] | None = None,
) -> None:
    """Add the gradient of Σ KL(target ‖ softmax(z M)) over the rows z, by z and by M, in place.

    The gradient of a divergence by its logits is softmax(z M) − target. Rows are taken in chunks.

    Args:
        latents: z, (n, dim).
        decoder: M, (dim, V).
        latents_bar: (n, dim), added to.
        decoder_bar: (dim, V), added to.
        target: gives the distributions (rows, V) of a slice of rows; None if its part is elsewhere.
    """
    for rows in chunks(len(latents), decoder.shape[1]):
        z = latents[rows]
        excess = torch.softmax(z @ decoder, -1)
        if target is not None:
            excess -= target(rows)
        latents_bar[rows].addmm_(excess, decoder.T)
        decoder_bar.addmm_(z.T, excess)
