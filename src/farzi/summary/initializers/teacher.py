"""An initial summary whose soft labels are teachers' predictions."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from farzi.data import Sequences
from farzi.errors import FarziError
from farzi.recipe.variants import StudentVariant
from farzi.summary.initializers.base import Ensemble, Size, add_gradient, single
from farzi.summary.initializers.classes import ClassInitializer, ClassSequences, fitted_factors
from farzi.summary.initializers.sampled import sample_sequences
from farzi.summary.tensors import SummaryTensors

INPUT_SHARE = 0.25  # of the latents' width, for soft inputs at first
DRAWS = 32  # real events for each position
FITS, BATCH = 600, 1000  # optimizer steps of the fit, and positions in each of them


@dataclass(frozen=True, eq=False)
class TeacherInitializer:
    r"""Windows with each event replaced by its class, and teachers' predictions as soft labels.

    The windows are cut from sequences that are sampled from the teachers, or from real ones.

    Soft inputs are P(event | class), as in `ClassInitializer` without smoothing. Soft labels are the
    predictions of models trained on the full data: knowledge distillation (Hinton et al. 2015, arXiv
    1503.02531). To compute them, real events are drawn from the classes several times, and the teachers'
    hidden states h are averaged over the draws; softmax(h Eᵀ) is then the geometric mean of their
    predictions. Such a label contains every event that may follow, so there is less to overfit than in the
    real next event.

    At first each latent has three parts: for soft labels, for soft inputs, and a constant. Then all latents
    and both decoders are fitted together, by Kullback-Leibler divergence. A FarziError is raised if the
    parametrization has no label decoder or too small a width.

    Attributes:
        teachers: trainings of the recipe's student on the full data whose predictions are averaged.
        others: further teachers, one training each.
        sequences: "sampled": drawn from the teachers (`sample_sequences`); "real": of the log.
        classes: number of classes; if None, half of the summary's positions, or 8 √positions with
            `cluster_by="embeddings"`.
        cluster_by: what puts two events into one class: "context", the events that occur next to them, or
            "embeddings", near embeddings in the teachers, for large vocabularies with many rare events.
    """

    teachers: int = 3
    others: tuple[StudentVariant, ...] = ()
    classes: int | None = None
    cluster_by: Literal["context", "embeddings"] = "context"
    sequences: Literal["sampled", "real"] = "real"

    def __call__(
        self, size: Size, log: Sequences, rng: np.random.Generator, teachers: Ensemble | None = None
    ) -> SummaryTensors:
        if teachers is None:
            raise FarziError("init.type teacher: needs models trained on the full data")
        if not size.label_decoder:
            raise FarziError(
                "init.type teacher: gives soft labels, which need summary.parametrization.label_decoder"
            )
        if size.dim < 2:
            raise FarziError(f"init.type teacher: needs a parametrization of dim 2 or more, not {size.dim}")
        input_dim = min(max(1, round(INPUT_SHARE * size.dim)), size.dim - 2)
        rank = size.dim - input_dim - 1
        positions = size.sequences * size.length
        if self.cluster_by == "context":
            number, points = max(1, positions // 2), None
        else:
            number, points = round(8 * positions**0.5), teachers.embeddings.double().numpy()
        source = log
        if self.sequences == "sampled":
            source = sample_sequences(teachers, log, 2 * size.sequences, size.length, rng)
        real = ClassInitializer(self.classes or number).sequences(size, log, rng, points, source)
        codes, decoder = fitted_factors(np.eye(len(real.transitions)), input_dim + 1, rng)
        hidden = torch.zeros(())  # mean states at all positions but the last, (sequences, length - 1, width)
        for _ in range(DRAWS):
            hidden = hidden + teachers.hidden(torch.from_numpy(real.draw(rng)[:, :-1]))
        hidden = hidden / DRAWS
        counts = np.bincount(log.items, minlength=size.vocabulary)
        label_latents, label_factors = _factors(hidden.flatten(0, 1), teachers.table, single(counts), rank)
        latents = torch.zeros(size.sequences, size.length, size.dim)
        latents[:, 1:, : label_latents.shape[1]] = label_latents.unflatten(0, hidden.shape[:2])
        latents[:, :, rank:] = single(codes)[torch.from_numpy(real.rows)]
        inputs, labels = torch.zeros(2, size.dim, size.vocabulary)
        inputs[rank:] = single(real.decoder_over_events(decoder))
        labels[: len(label_factors) - 1], labels[-1] = label_factors[:-1], label_factors[-1]
        labels[:, 0] = 0.0
        _fit([latents, inputs, labels], real, hidden, teachers.table, rng)
        return SummaryTensors(latents, inputs * size.temperature, size.temperature, labels * size.temperature)


def _fit(
    parts: list[Tensor], real: ClassSequences, hidden: Tensor, table: Tensor, rng: np.random.Generator
) -> None:
    """Fit latents and both decoders, in place, to P(event | class) and to the predictions softmax(h Eᵀ)."""
    latents, inputs, labels = parts
    bars = [torch.zeros_like(part) for part in parts]
    for part, bar in zip(parts, bars):
        part.grad = bar
    latents_bar, inputs_bar, labels_bar = bars
    table, rows = table[1:], torch.from_numpy(real.rows)  # without padding
    adam = torch.optim.Adam(parts, lr=0.02)
    sequences, length = rows.shape
    for fit in range(FITS):
        adam.param_groups[0]["lr"] = 0.02 * (1 - fit / FITS) + 1e-3
        adam.zero_grad(set_to_none=False)
        which = torch.from_numpy(rng.integers(sequences, size=BATCH))
        positions = torch.from_numpy(rng.integers(length, size=BATCH))
        order = positions.argsort(descending=True)  # first positions, which have no label, come last
        at = which[order], positions[order]
        latent, labelled = latents[at], slice(int((positions > 0).sum()))
        latent_bar = torch.zeros_like(latent)
        add_gradient(latent, inputs[:, 1:], latent_bar, inputs_bar[:, 1:])
        of_latent, of_inputs = _target_gradient(latent, inputs[:, 1:], rows[at], real)
        latent_bar -= of_latent
        inputs_bar[:, 1:] -= of_inputs
        states = hidden[at[0][labelled], at[1][labelled] - 1]
        add_gradient(
            latent[labelled],
            labels[:, 1:],
            latent_bar[labelled],
            labels_bar[:, 1:],
            lambda chunk, states=states: torch.softmax(states[chunk] @ table.T, -1),
        )
        latents_bar.index_put_(at, latent_bar, accumulate=True)
        for bar in bars:
            bar /= BATCH
        adam.step()


def _target_gradient(
    latents: Tensor, decoder: Tensor, rows: Tensor, real: ClassSequences
) -> tuple[Tensor, Tensor]:
    """What the targets P(event | class), classes `rows` (n,), subtract from the gradient of `add_gradient`.

    Each row's target is zero outside its class, so no (n, V) array is needed. The decoder has no padding.
    """
    class_of, shares = torch.from_numpy(real.class_of)[1:], single(real.log_shares)[1:].exp()
    zeros = latents.new_zeros(len(real.transitions), len(decoder))
    means = zeros.index_add(0, class_of, (decoder * shares).T)
    totals = zeros.index_add(0, rows, latents)
    return means[rows], totals[class_of].T * shares


def _factors(hidden: Tensor, table: Tensor, counts: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The best factors of the logits h Eᵀ: latents (n, at most rank) and a decoder (at most rank + 1, V).

    Hidden states h are (n, width), the table E is (V, width). The latents have root mean square 1 / 2. The
    decoder's last row is for a latent of 1 / 2 everywhere. If the rank is lower than that of the hidden
    states, the error is smallest with events weighted by their counts; what is added to all logits of a row
    does not count as an error.
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
