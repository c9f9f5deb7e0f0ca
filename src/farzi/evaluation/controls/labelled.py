"""Real windows with the teachers' soft labels: the control that separates data from knowledge distillation.

A summary's first labels are predictions of models that saw the full data, so whatever small data carries such
labels is strong (arXiv 2604.18811). This control has the same teachers' labels on windows of real users, and
is trained on as a summary is: by the recipe's inner loop, on the windows alone.

Stored are, for each event, its index, and for each label the `keep` most probable items, an index and a
probability of 16 bits each. What remains of a label's probability is spread evenly over all other items:

    q(v) = p_v for the items kept,   q(v) = (1 − Σ p) / (V − 1 − keep) for the others.
"""

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from farzi.data import Sequences, pad_left
from farzi.evaluation.controls.subsets import Random, bytes_per_event
from farzi.evaluation.controls.teachers import Teachers
from farzi.losses import mean_log_partition
from farzi.models import SequenceModel
from farzi.recipe import Inner
from farzi.recipe.variants import StudentVariant
from farzi.summary import BatchSchedule
from farzi.training import NextEvent, Trained, make_model, make_optimizer
from farzi.unroll import train

PROBABILITIES = 2**24
"""Probabilities in memory at a time while windows are labelled."""


@dataclass(frozen=True)
class Labelled:
    """The windows of `Random`. A control that has an attribute `keep` gets the teachers' soft labels.

    Attributes:
        keep: items stored with each label.
    """

    keep: int = 16

    def __call__(self, log: Sequences, length: int, count: int, rng: np.random.Generator) -> Sequences:
        return Random()(log, length, count, rng)


def labels_kept(control: object) -> int:
    """Items stored with each of the teachers' labels of a control's windows; 0 if these have no labels."""
    return int(getattr(control, "keep", 0))


def labelled_bytes(lengths: np.ndarray, vocabulary: int, keep: int) -> np.ndarray:
    """Stored bytes of windows of these lengths with labels: the first event of a window has none."""
    event = bytes_per_event(vocabulary)
    return lengths * event + np.maximum(lengths - 1, 0) * min(keep, vocabulary - 1) * (event + 2)


@torch.no_grad()
def label_windows(windows: Sequences, length: int, teachers: Teachers, keep: int) -> dict[str, Tensor]:
    """Windows with labels, on the teachers' device.

    Args:
        windows: n sequences of at most `length` events.
        length: ξ, positions.
        teachers: their mean prediction is the label.
        keep: items stored with each label, at most all V − 1.

    Returns:
        events: indices (n, ξ), padded on the left.
        items: those kept, (n, ξ − 1, keep), for positions 1 to ξ − 1.
        probabilities: theirs, float16, of the same shape.
    """
    events = torch.from_numpy(pad_left(windows, length)).to(teachers.device)
    vocabulary = len(teachers.models[0].output_table)
    keep, rows = min(keep, vocabulary - 1), max(1, PROBABILITIES // (length * vocabulary))
    kept = [
        teachers.last_scores(part[:, :-1], length - 1)[..., 1:].exp().topk(keep, dim=-1)
        for part in events.split(rows)
    ]
    items, probabilities = (torch.cat(parts) for parts in zip(*((k.indices + 1, k.values) for k in kept)))
    return {"events": events, "items": items, "probabilities": probabilities.half()}


class LabelledLoss(nn.Module):
    """A student's cross-entropy on `label_windows`, as a function of its parameters."""

    def __init__(self, student: SequenceModel) -> None:
        super().__init__()
        self.student = student  # named as in `NextEvent`, whose parameters are the same

    def forward(self, windows: Mapping[str, Tensor]) -> Tensor:
        """The mean over labels whose event is no padding, in nats."""
        events, items = windows["events"], windows["items"]
        read, real = events[:, :-1], events[:, 1:] > 0
        hidden = self.student.hidden(self.student.embed(read), read > 0)[real]
        table = self.student.output_table
        kept, rest = stored_label(windows["probabilities"][real], len(table) - 1)
        others = rest.unsqueeze(-1)
        targets = ((kept - others).unsqueeze(-1) * table[items[real]]).sum(-2) + others * table[1:].sum(0)
        return mean_log_partition(hidden, table[1:]) - (hidden * targets).sum(-1).mean()

    def at(
        self, theta: dict[str, Tensor], windows: Mapping[str, Tensor], batch: Tensor | None = None
    ) -> Tensor:
        """The loss at parameters `theta` on some of the windows, all if `batch` is None."""
        some = {name: value if batch is None else value[batch] for name, value in windows.items()}
        return functional_call(self, theta, (some,))


def stored_label(probabilities: Tensor, items: int) -> tuple[Tensor, Tensor]:
    """What a stored label stands for.

    Args:
        probabilities: of the items kept, (n, keep), float16.
        items: V − 1.

    Returns:
        Their probabilities (n, keep), float32, and that of each other item, (n,). All V − 1 sum to 1: where
        rounding makes the stored ones exceed 1, they are divided by their sum.
    """
    kept = probabilities.float()
    total = kept.sum(-1, keepdim=True)
    rest = (1 - total).clamp(min=0) / max(1, items - kept.shape[-1])
    if items == kept.shape[-1]:  # no other item: these are all
        return kept / total, torch.zeros_like(rest[..., 0])
    return kept / total.clamp(min=1), rest[..., 0]


def train_on_labelled(
    windows: dict[str, Tensor], vocabulary: int, student: StudentVariant, inner: Inner, seed: int
) -> Trained:
    """Train a model from fresh random weights on labelled windows, exactly as on a summary.

    Optimizer, steps, batch and the order of sequences are those of `farzi.training.train_on_summary`.
    """
    events = windows["events"]
    start = time.perf_counter()
    model = copy.deepcopy(make_model(student, vocabulary, events.shape[1], seed, events.device)).eval()
    theta = NextEvent(model).parameters_of(model)
    schedule = BatchSchedule(len(events), inner.batch, seed, events.device).batches(0, inner.steps)
    end = train(LabelledLoss(model).at, theta, windows, make_optimizer(inner), schedule)
    return Trained(NextEvent(model).student_with(end.theta), time.perf_counter() - start, len(schedule))
