"""Sequences drawn from teachers, event by event: nobody's history."""

import numpy as np
import torch
from torch import Tensor

from farzi.data import Sequences
from farzi.operations import chunks
from farzi.summary.initializers.base import Ensemble

LEAST, FURTHER = 900, 50
"""Sequences that are drawn at least, and how much longer they are than what is taken from them."""


def sample_sequences(
    teachers: Ensemble, log: Sequences, sequences: int, length: int, rng: np.random.Generator
) -> Sequences:
    """Sequences drawn from the teachers' predictions: at least `sequences`, longer than `length`.

    The first event is drawn by its count in the log, each further one from the predictions after those
    before it, at temperature 1. If no sequence of the log holds an event twice, none of these does.

    Args:
        teachers: models trained on the log.
        log: the training sequences, for counts alone.
        sequences: how many at least.
        length: of the windows that are cut from them.
        rng: for all random draws.
    """
    count, length = max(LEAST, sequences), length + FURTHER
    counts = np.bincount(log.items, minlength=len(teachers.table))
    once = without_repeats(log) and length < 0.5 * len(counts)
    return Sequences.from_lists(list(draw_sequences(teachers, counts, count, length, once, rng)))


def draw_sequences(
    teachers: Ensemble, counts: np.ndarray, count: int, length: int, once: bool, rng: np.random.Generator
) -> np.ndarray:
    """Sequences drawn from the teachers' predictions, int64, (count, length); see `sample_sequences`.

    `counts` (V,) are those of first events; `once`: no sequence holds an event twice.
    """
    table = teachers.table
    weights = torch.from_numpy(counts.astype(np.float64))
    weights[0] = 0.0
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    events = torch.multinomial(weights, count, replacement=True, generator=generator)[:, None]
    for _ in range(length - 1):
        hidden = teachers.hidden(events[:, -teachers.length :])[:, -1]
        following = [
            _draw(hidden[rows] @ table.T, events[rows] if once else None, generator)
            for rows in chunks(count, len(table))
        ]
        events = torch.cat([events, torch.cat(following)], 1)
    return events.numpy()


def _draw(scores: Tensor, without: Tensor | None, generator: torch.Generator) -> Tensor:
    """An event for each row of scores (n, V), (n, 1); none of `without` (n, any), and no padding."""
    if without is not None:
        scores.scatter_(1, without, -torch.inf)
    scores[:, 0] = -torch.inf
    return torch.multinomial(scores.softmax(-1), 1, generator=generator)


def without_repeats(log: Sequences) -> bool:
    """Whether no sequence holds an event twice."""
    owner = np.repeat(np.arange(len(log)), log.lengths)
    pairs = owner * (int(log.items.max()) + 1) + log.items
    return len(np.unique(pairs)) == len(pairs)
