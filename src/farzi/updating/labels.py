"""Labels made anew by a teacher, and all or some sequences replaced by ones that are sampled from it."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from farzi.data import Log, Sequences
from farzi.distillation.initialise import initialise
from farzi.models import SequenceModel
from farzi.recipe import Recipe
from farzi.recipe.variants import TeacherInit
from farzi.summary import Ensemble, SummaryTensors
from farzi.summary.initializers.sampled import draw_sequences

DRAWS = 16
"""Hard sequences drawn from the soft inputs of each sequence, over which a teacher's states are averaged."""
FITS, POSITIONS = 300, 400
"""Optimizer steps of the fit, and positions in each of them."""
SOURCE, FURTHER = 300, 30
"""Sequences from which a whole summary is cut, at least, and how much longer they are than it."""
OWN = 0.5
"""Of the soft input at a replaced position, the share of its event; the rest is that of like positions."""


def can_relabel(tensors: SummaryTensors) -> bool:
    """Whether a summary has factors and labels of their own, so that labels can be made anew."""
    return tensors.label_decoder is not None


def least_used(tensors: SummaryTensors, counts: np.ndarray, count: int) -> np.ndarray:
    """The sequences, indices (count,), whose most probable events are the rarest in the day.

    `counts` (V,) are those of the day's events.
    """
    shares = np.array([counts[one].mean() for one in tensors.top_events()])
    return np.sort(np.argsort(shares, kind="stable")[:count])


def anew(
    recipe: Recipe, log: Log, teacher: SequenceModel, once: bool, rng: np.random.Generator
) -> SummaryTensors:
    """An initial summary of the size in a recipe, made from a teacher alone, on sequences that it sampled.

    Args:
        recipe: of the summary.
        log: the day's, with the counts of items, by which first events are drawn.
        teacher: over the items of `log`.
        once: whether sequences hold no event twice.
        rng: for the sequences.
    """
    counts = log.vocabulary.frame["count"].to_numpy()
    many, length = max(2 * recipe.summary.sequences, SOURCE), recipe.summary.length + FURTHER
    once = once and 2 * length < len(counts)
    events = draw_sequences(Ensemble((teacher,)), counts, many, length, once, rng)
    given = recipe.init if isinstance(recipe.init, TeacherInit) else TeacherInit()
    init = given.model_copy(update={"teachers": 1, "others": (), "sequences": "real"})
    sampled = replace(log, train=Sequences.from_lists(list(events)))
    return initialise(recipe.changed({"init": init}), sampled, (teacher,))


def renewed(
    tensors: SummaryTensors,
    teacher: Ensemble,
    which: np.ndarray,
    sampled: np.ndarray,
    vanished: np.ndarray,
    rng: np.random.Generator,
) -> SummaryTensors:
    """The summary with a teacher's predictions as labels, and other sequences in some places.

    Latents and both decoders are fitted together by Kullback-Leibler divergence, from where they are. Soft
    inputs stay as they are, except at replaced positions: there they become a mixture of the sampled event
    and of what the summary has beside that event.

    Args:
        tensors: with factors and a label decoder, on the CPU.
        teacher: predicts the labels.
        which: indices of the sequences to replace, (r,).
        sampled: what stands there, events (r, ξ).
        vanished: items that labels give no probability.
        rng: for all random draws.
    """
    μ, ξ, tau = tensors.sequences, tensors.length, tensors.temperature
    old_decoder = tensors.decoder / tau
    latents = tensors.latents.clone()
    latents[torch.from_numpy(which)] = _mean_latents(tensors, sampled)
    source = latents.clone()  # of the targets
    events = torch.zeros(μ, ξ, dtype=torch.long)
    events[torch.from_numpy(which)] = torch.from_numpy(sampled)
    hidden = _states(replace(tensors, latents=latents), teacher, events, rng)
    table, gone = teacher.table, torch.from_numpy(vanished)
    assert tensors.label_decoder is not None
    parts = [latents, old_decoder.clone(), tensors.label_decoder / tau]
    with torch.enable_grad():
        for part in parts:
            part.requires_grad_()
        adam = torch.optim.Adam(parts, lr=0.02)
        for fit in range(FITS):
            adam.param_groups[0]["lr"] = 0.02 * (1 - fit / FITS) + 5e-4
            at = torch.from_numpy(rng.integers(μ * ξ, size=POSITIONS))
            rows, places = at // ξ, at % ξ
            with torch.no_grad():
                inputs = torch.softmax(_without_padding(source[rows, places] @ old_decoder), -1)
                own = events[rows, places]
                inputs[own > 0] *= 1 - OWN
                inputs[own > 0] = inputs[own > 0].scatter_add(
                    1, own[own > 0, None], torch.full((int((own > 0).sum()), 1), OWN)
                )
                labelled = places > 0
                scores = hidden[rows[labelled], places[labelled] - 1] @ table.T
                scores[:, gone] = -torch.inf
                labels = torch.softmax(_without_padding(scores), -1)
            z = parts[0][rows, places]
            loss = _cross_entropy(z @ parts[1], inputs) + _cross_entropy(z[labelled] @ parts[2], labels)
            adam.zero_grad()
            loss.backward()
            adam.step()
    made, decoder, label_decoder = (part.detach() for part in parts)
    decoder[:, 0] = label_decoder[:, 0] = 0.0
    return replace(tensors, latents=made, decoder=decoder * tau, label_decoder=label_decoder * tau)


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return -(targets[:, 1:] * logits[:, 1:].log_softmax(-1)).sum(-1).mean()


def _without_padding(scores: Tensor) -> Tensor:
    scores[:, 0] = -torch.inf
    return scores


def _mean_latents(tensors: SummaryTensors, events: np.ndarray) -> Tensor:
    """For each event (r, ξ) the mean latent of all positions, weighted by its probability there."""
    distinct, place = np.unique(events, return_inverse=True)
    sums = torch.zeros(len(distinct), tensors.dim)
    totals = torch.zeros(len(distinct), 1)
    for row in range(tensors.sequences):  # one by one: each takes ξ · V numbers
        shares = tensors.select([row]).soft_inputs()[0][:, torch.from_numpy(distinct)]  # (ξ, events)
        sums += shares.T @ tensors.latents[row]
        totals += shares.sum(0)[:, None]
    return (sums / totals.clamp(min=1e-12))[torch.from_numpy(place).view(events.shape)]


def _states(tensors: SummaryTensors, teacher: Ensemble, events: Tensor, rng: np.random.Generator) -> Tensor:
    """The teacher's mean states after each position but the last, (μ, ξ − 1, width).

    Sequences are drawn from the soft inputs, or are `events` (μ, ξ) where these are not 0.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    states = []
    for row in range(tensors.sequences):
        if bool(events[row].all()):
            drawn = events[row : row + 1]
        else:
            soft = tensors.select([row]).soft_inputs()[0]
            drawn = torch.multinomial(soft, DRAWS, replacement=True, generator=generator).T
        read = drawn[:, :-1][:, -teacher.length :]
        states.append(teacher.hidden(read).mean(0))
    return torch.stack(states)
