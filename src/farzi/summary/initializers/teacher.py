"""An initial summary whose soft labels are teachers' predictions: see `TeacherInitializer`."""

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
    r"""Real windows with each event replaced by its class, and teachers' predictions as soft labels.

    Soft inputs are P(event | class), as in `ClassInitializer` without smoothing. Soft labels are the
    predictions of models trained on the full data: knowledge distillation (Hinton et al. 2015, arXiv
    1503.02531). To compute them, real events are drawn from the classes `draws` times, and the teachers'
    hidden states h are averaged over the draws; softmax(h Eᵀ) is then the geometric mean of their
    predictions. Such a label contains every event that may follow, so there is less to overfit than in the
    real next event.

    At first each latent has three parts: for soft labels, for soft inputs, and a constant. Then all latents
    and both decoders are fitted together, by Kullback-Leibler divergence. On Penn Treebank cut to 2,000
    words, 200 x 30 positions of width 16 trained a Transformer of width 32 to perplexity 98 before that fit
    and 77 after it (single runs).

    Attributes:
        teachers: trainings of the recipe's student on the full data whose predictions are averaged.
        others: further teachers, one training each.
        classes: number of classes; if None, half of the summary's positions, or 8 √positions with
            `cluster_by="embeddings"`.
        cluster_by: what puts two events into one class: "context", the events that occur next to them, or
            "embeddings", near embeddings in the teachers. The latter suits large vocabularies with many rare
            events: all of Penn Treebank in 400 x 50 trained a Transformer of width 32 to perplexity 183
            instead of 195; on MovieLens-100k a SASRec was slightly worse.
        input_share: share of the latents' width that is for soft inputs at first.
        draws: real events drawn for each position.
        fits: optimizer steps of the fit.
        batch: positions in each of them.
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
        points = None if self.cluster_by == "context" else teachers.embeddings.double().numpy()
        classes = ClassInitializer(self.number_of_classes(size.sequences * size.length))
        real = classes.sequences(size, log, rng, points)
        codes, decoder = classes.factors(np.eye(len(real.transitions)), input_dim + 1, rng)
        hidden = self._hidden(real, teachers, rng)
        counts = np.bincount(log.items, minlength=size.vocabulary)
        label_latents, label_factors = _factors(hidden.flatten(0, 1), teachers.table, single(counts), rank)
        latents = torch.zeros(size.sequences, size.length, size.dim)
        latents[:, 1:, : label_latents.shape[1]] = label_latents.unflatten(0, hidden.shape[:2])
        latents[:, :, rank:] = single(codes)[torch.from_numpy(real.rows)]
        inputs, labels = torch.zeros(2, size.dim, size.vocabulary)
        inputs[rank:] = single(real.decoder_over_events(decoder))
        labels[: len(label_factors) - 1], labels[-1] = label_factors[:-1], label_factors[-1]
        labels[:, 0] = 0.0
        self._fit([latents, inputs, labels], real, hidden, teachers, rng)
        return SummaryTensors(latents, inputs * size.temperature, size.temperature, labels * size.temperature)

    def number_of_classes(self, positions: int) -> int:
        """The number of classes for a summary of so many positions: `classes`, or its default."""
        default = max(1, positions // 2) if self.cluster_by == "context" else round(8 * positions**0.5)
        return self.classes or default

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
        """Fit latents and both decoders, in place, to P(event | class) and to the teachers' predictions."""
        latents, inputs, labels = parts
        bars = [torch.zeros_like(part) for part in parts]
        for part, bar in zip(parts, bars):
            part.grad = bar
        latents_bar, inputs_bar, labels_bar = bars
        table, rows = teachers.table[1:], torch.from_numpy(real.rows)  # without padding
        adam = torch.optim.Adam(parts, lr=0.02)
        sequences, length = rows.shape
        for fit in range(self.fits):
            adam.param_groups[0]["lr"] = 0.02 * (1 - fit / self.fits) + 1e-3
            adam.zero_grad(set_to_none=False)
            which = torch.from_numpy(rng.integers(sequences, size=self.batch))
            positions = torch.from_numpy(rng.integers(length, size=self.batch))
            order = positions.argsort(descending=True)  # first positions, which have no label, come last
            at = which[order], positions[order]
            latent, labelled = latents[at], int((positions > 0).sum())
            latent_bar = torch.zeros_like(latent)
            add_gradient(latent, inputs[:, 1:], latent_bar, inputs_bar[:, 1:])
            _subtract_class_targets(latent, inputs[:, 1:], latent_bar, inputs_bar[:, 1:], rows[at], real)
            predictions = _predictions(hidden[at[0][:labelled], at[1][:labelled] - 1], table)
            add_gradient(
                latent[:labelled], labels[:, 1:], latent_bar[:labelled], labels_bar[:, 1:], predictions
            )
            latents_bar.index_put_(at, latent_bar, accumulate=True)
            for bar in bars:
                bar /= self.batch
            adam.step()
        for part in parts:
            part.grad = None


def _predictions(hidden: Tensor, table: Tensor) -> Callable[[slice], Tensor]:
    """The predictions softmax(h Eᵀ) for a slice of the hidden states (n, width)."""
    return lambda rows: torch.softmax(hidden[rows] @ table.T, -1)


def _subtract_class_targets(
    latents: Tensor,
    decoder: Tensor,
    latents_bar: Tensor,
    decoder_bar: Tensor,
    rows: Tensor,
    real: ClassSequences,
) -> None:
    """The targets' part of the gradient in `add_gradient`, for the targets P(event | class).

    Each row's target is zero outside its class, so no (n, V) array is needed.

    Args:
        latents: z, (n, dim).
        decoder: M, (dim, V - 1), without padding.
        latents_bar: (n, dim), subtracted from.
        decoder_bar: (dim, V - 1), subtracted from.
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
    """The best factors of the logits h Eᵀ: latents (n, at most rank) and a decoder (at most rank + 1, V).

    The latents have root mean square 1 / 2. The decoder's last row is for a latent of 1 / 2 everywhere. If
    the rank is lower than that of the hidden states, the error is smallest with events weighted by their
    counts; what is added to all logits of a row does not count as an error.

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
    root = values.clamp(min=0).sqrt()  # |x · axes · root| is the distance of the logits of x and of 0
    mean = hidden.mean(0)
    left, singular, right = torch.linalg.svd((hidden - mean) @ axes * root, full_matrices=False)
    nonzero = singular[:rank] > 1e-9 * singular[0]
    left, singular, right = left[:, :rank][:, nonzero], singular[:rank][nonzero], right[:rank][nonzero]
    directions = (right * torch.where(root > 0, 1 / root, 0)) @ axes.T  # of hidden states
    scale = len(hidden) ** 0.5
    decoder = (2 / scale) * singular.unsqueeze(-1) * (directions @ table.T)
    return (0.5 * scale * left).float(), torch.cat([decoder, 2 * (mean @ table.T).unsqueeze(0)]).float()
