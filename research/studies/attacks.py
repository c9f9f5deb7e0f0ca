"""Two membership attacks on what was trained on users, and their null distributions."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from farzi.data import Sequences, pad_left
from farzi.losses import hard_next_event
from farzi.models import SequenceModel

FALSE_ALARMS = 0.01
"""Share of non-members called members at which `Attack.caught` is measured."""


class Attack(NamedTuple):
    """How well a score separates members from others.

    Attributes:
        auc: probability that a member's score is above another user's, ties count half; 0.5 is chance.
        caught: share of members above all but `FALSE_ALARMS` of the others.
        null: upper end of the 95 % range of `auc` for a score that knows nothing (Mann and Whitney, 1947).
    """

    auc: float
    caught: float
    null: float


def attack(members: np.ndarray, others: np.ndarray) -> Attack:
    """Separate members from others by a score, (n,) and (m,), that is higher for members.

    `auc` is the Mann-Whitney statistic over n m; under the null its variance is (n + m + 1) / (12 n m).
    """
    n, m = len(members), len(others)
    if n == 0 or m == 0:
        raise ValueError("an attack needs members and others")
    ordered = np.sort(others)
    below = np.searchsorted(ordered, members, side="left")
    equal = np.searchsorted(ordered, members, side="right") - below
    auc = float((below + equal / 2).mean() / m)
    bar = ordered[max(0, math.ceil((1 - FALSE_ALARMS) * m) - 1)]
    null = 0.5 + 1.96 * math.sqrt((n + m + 1) / (12 * n * m))
    return Attack(auc, float((members > bar).mean()), null)


@torch.no_grad()
def losses(student: SequenceModel, sequences: Sequences, batch: int = 256) -> np.ndarray:
    """Mean next-event loss of each sequence's last events, nats, (n,); 0 if there is only one event."""
    windows = torch.from_numpy(pad_left(sequences, student.length + 1)).to(student.device)
    means = []
    for part in windows.split(batch):
        read = part[:, :-1]
        hidden = student.hidden(student.embed(read), read > 0)
        one_by_one = [
            hard_next_event(hidden[k : k + 1], student.output_table, part[k : k + 1])
            if int((read[k] > 0).sum())
            else hidden.new_zeros(())
            for k in range(len(part))
        ]
        means.append(torch.stack(one_by_one))
    return torch.cat(means).double().cpu().numpy()


def overlaps(events: Tensor, sequences: Sequences) -> np.ndarray:
    """How close each synthetic sequence comes to each real one: (μ, n), between 0 and 1.

    The mean probability of a window of the real sequence under the soft inputs, position by position; the
    maximum over windows. A synthetic sequence equal to such a window has 1.

    Args:
        events: soft inputs, (μ, ξ, V), without weight on index 0.
        sequences: real ones, none empty.
    """
    length, real = events.shape[1], sequences.lengths
    gaps = np.repeat(np.cumsum(real), length - 1)  # ξ − 1 places of padding after each sequence
    items = torch.from_numpy(np.insert(sequences.items, gaps, 0))
    starts = np.concatenate([[0], np.cumsum(real + length - 1)[:-1]])
    best = []
    for one in events.detach():
        padded = torch.cat([items, items.new_zeros(length)])
        total = torch.zeros(len(items))
        for place in range(length):
            total += one[place][padded[place : place + len(items)]]
        total[items == 0] = (
            0  # a window begins at an event: from padding it would reach into the next sequence
        )
        best.append(np.maximum.reduceat(total.numpy() / length, starts))
    return np.stack(best)
