"""Starts whose targets are what a student of the full data expects: see `TeacherInitializer` and `TaughtAlike`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from farzi.data import Sequences
from farzi.errors import FarziError
from farzi.recipe.variants import StudentVariant
from farzi.summary.initializers.base import Size, single
from farzi.summary.initializers.classes import ClassInitializer, ClassSequences
from farzi.summary.initializers.ensemble import Ensemble
from farzi.summary.initializers.fitting import add_gradient
from farzi.summary.tensors import SummaryTensors


@dataclass(frozen=True, eq=False)
class TeacherInitializer:
    r"""Real sequences in which events stand as their classes, each to be followed by what teachers expect.

    What is read is P(event | class), as in `ClassInitializer`, and nothing else. What is predicted, by a decoder of
    its own, are the expectations of students that were trained on the full data (knowledge distillation,
    Hinton et al. 2015, arXiv 1503.02531). They are asked about real events drawn of the classes; the mean of
    their hidden states h over the draws stands for the geometric mean of their expectations softmax(h Eᵀ).
    A position so tells all that may come next: nothing that happened to be is there to be learnt by heart.

    First the latents are in three parts: as many as are left for what is predicted, those for what is read,
    and a constant. Then all of them are fitted together to both, by Kullback-Leibler divergence: on Penn
    Treebank cut to 2,000 words 200 x 30 events of width 16 trained a Transformer of width 32 to perplexity 98
    before and 77 after (single runs).

    Attributes:
        teachers: trainings of the recipe's student on the full data whose predictions are averaged.
        others: further teachers, one training each.
        classes: number of item classes; if None, half of the summary's positions, or 8 √positions where
            classes are of near embeddings.
        cluster_by: what puts two items into one class: "context", the items that occur next to them, or
            "embeddings", near embeddings in the teachers. The latter suits large vocabularies with many rare
            items: all of Penn Treebank in 400 x 50 trained a Transformer of width 32 to perplexity 183
            instead of 195; on MovieLens-100k a SASRec was slightly worse.
        input_share: share of the latents' width that is for soft inputs at first.
        draws: real events drawn at each position.
        fits: steps of the fit.
        batch: positions in a step of it.
    """

    teachers: int = 3
    others: tuple[StudentVariant, ...] = ()
    classes: int | None = None
    cluster_by: Literal["context", "embeddings"] = "context"
    input_share: float = 0.25
    draws: int = 32
    fits: int = 600
    batch: int = 1000

    def __call__(
        self, size: Size, log: Sequences, rng: np.random.Generator, teachers: Ensemble | None = None
    ) -> SummaryTensors:
        """See `Initializer`.

        Raises:
            FarziError: the parametrization has no label decoder, or too small a width.
        """
        if teachers is None:
            raise FarziError("init.type teacher: needs models trained on the full data")
        if not size.label_decoder:
            raise FarziError(
                "init.type teacher: gives soft labels, which need summary.parametrization.label_decoder"
            )
        if size.dim < 2:
            raise FarziError(f"init.type teacher: needs a parametrization of dim 2 or more, not {size.dim}")
        input_dim = min(max(1, round(self.input_share * size.dim)), size.dim - 2)
        rank = size.dim - input_dim - 1
        positions = size.sequences * size.length
        by_context = self.cluster_by == "context"
        default = max(1, positions // 2) if by_context else round(8 * positions**0.5)
        classes = ClassInitializer(self.classes or default)
        points = None if by_context else teachers.points.double().numpy()
        real = classes.sequences(size, log, rng, points)
        codes, decoder = classes.factors(np.eye(len(real.transitions)), input_dim + 1, rng)
        hidden = self._hidden(real, teachers, rng)
        counts = np.bincount(log.items, minlength=size.vocabulary)
        label_latents, label_factors = _factors(hidden.flatten(0, 1), teachers.table, single(counts), rank)
        latents = torch.zeros(size.sequences, size.length, size.dim)
        latents[:, 1:, : label_latents.shape[1]] = label_latents.unflatten(0, hidden.shape[:2])
        latents[:, :, rank:] = single(codes)[torch.from_numpy(real.rows)]
        inputs, labels = torch.zeros(2, size.dim, size.vocabulary)
        inputs[rank:] = single(real.lifted(decoder))
        labels[: len(label_factors) - 1], labels[-1] = label_factors[:-1], label_factors[-1]
        labels[:, 0] = 0.0
        self._fit([latents, inputs, labels], real, hidden, teachers, rng)
        return SummaryTensors(latents, inputs * size.temperature, size.temperature, labels * size.temperature)

    def _hidden(self, real: ClassSequences, teachers: Ensemble, rng: np.random.Generator) -> Tensor:
        """Mean hidden states at all positions but the last, (sequences, length - 1, width)."""
        total = torch.zeros(())
        for _ in range(self.draws):
            total = total + teachers.hidden(torch.from_numpy(real.draw(rng)[:, :-1]))
        return total / self.draws

    def _fit(
        self,
        parts: list[Tensor],
        real: ClassSequences,
        hidden: Tensor,
        teachers: Ensemble,
        rng: np.random.Generator,
    ) -> None:
        """Fit latents, decoder and targets, in place, to the classes read and what `hidden` expects."""
        latents, inputs, labels = parts
        slopes = [torch.zeros_like(part) for part in parts]
        for part, slope in zip(parts, slopes):
            part.grad = slope
        table, rows = teachers.table[1:], torch.from_numpy(real.rows)  # padding aside
        adam = torch.optim.Adam(parts, lr=0.02)
        sequences, length = rows.shape
        for fit in range(self.fits):
            adam.param_groups[0]["lr"] = 0.02 * (1 - fit / self.fits) + 1e-3
            adam.zero_grad(set_to_none=False)
            of_sequences = torch.from_numpy(rng.integers(sequences, size=self.batch))
            positions = torch.from_numpy(rng.integers(length, size=self.batch))
            order = positions.argsort(descending=True)  # those that are only read, the first ones, are last
            at = of_sequences[order], positions[order]
            latent, told = latents[at], int((positions > 0).sum())
            pulled = torch.zeros_like(latent)
            add_gradient(latent, inputs[:, 1:], pulled, slopes[1][:, 1:])
            _take_off_classes(latent, inputs[:, 1:], pulled, slopes[1][:, 1:], rows[at], real)
            expected = _expected(hidden[at[0][:told], at[1][:told] - 1], table)
            add_gradient(latent[:told], labels[:, 1:], pulled[:told], slopes[2][:, 1:], expected)
            slopes[0].index_put_(at, pulled, accumulate=True)
            for slope in slopes:
                slope /= self.batch
            adam.step()
        for part in parts:
            part.grad = None


def _expected(hidden: Tensor, table: Tensor) -> Callable[[slice], Tensor]:
    """What is expected after some of the hidden states (n, width): softmax(h Eᵀ)."""
    return lambda rows: torch.softmax(hidden[rows] @ table.T, -1)


def _take_off_classes(
    latents: Tensor,
    decoder: Tensor,
    latents_bar: Tensor,
    decoder_bar: Tensor,
    rows: Tensor,
    real: ClassSequences,
) -> None:
    """What `add_gradient` would have by P(event | class): of each row only the events of its class.

    Args:
        latents: z, (n, dim).
        decoder: M, (dim, V - 1), padding aside.
        latents_bar: (n, dim), taken off from.
        decoder_bar: (dim, V - 1), taken off from.
        rows: class of each row, (n,).
        real: the classes.
    """
    class_of, shares = torch.from_numpy(real.class_of)[1:], single(real.log_shares)[1:].exp()
    means = latents.new_zeros(len(real.transitions), len(decoder)).index_add_(
        0, class_of, (decoder * shares).T
    )
    latents_bar -= means[rows]
    totals = torch.zeros_like(means).index_add_(0, rows, latents)
    decoder_bar -= totals[class_of].T * shares


def _factors(hidden: Tensor, table: Tensor, counts: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Latents (n, rank) of root mean square 1 / 2, and a decoder (rank + 1, V), for the logits h Eᵀ.

    The last row of the decoder is for a latent of 1 / 2 throughout. Of lower rank than the hidden states they
    come as near as they can, events counting as often as they occur, and what is added to all logits not.

    Args:
        hidden: h, (n, width).
        table: E, (V, width).
        counts: of the events, (V,).
        rank: at most the width.
    """
    hidden, table, share = hidden.double(), table.double(), counts.double().clamp(min=1)
    share = share / share.sum()
    centred = (table - share @ table) * share.sqrt().unsqueeze(-1)
    values, axes = torch.linalg.eigh(centred.T @ centred)
    root = values.clamp(min=0).sqrt()  # |x root axes| is how far apart two expectations are
    mean = hidden.mean(0)
    left, singular, right = torch.linalg.svd((hidden - mean) @ axes * root, full_matrices=False)
    kept = singular[:rank] > 1e-9 * singular[0]
    left, singular, right = left[:, :rank][:, kept], singular[:rank][kept], right[:rank][kept]
    directions = (right * torch.where(root > 0, 1 / root, 0)) @ axes.T  # of hidden states
    scale = len(hidden) ** 0.5
    decoder = (2 / scale) * singular.unsqueeze(-1) * (directions @ table.T)
    return (0.5 * scale * left).float(), torch.cat([decoder, 2 * (mean @ table.T).unsqueeze(0)]).float()
