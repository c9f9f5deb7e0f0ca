"""Training a model from fresh random weights on a summary.

`train_on_summary` is the inner loop itself: the model is trained exactly as in the distillation, in
evaluation mode, so that nothing in it is random. Real events may have a share in each step (`Mixed`). On real
events alone: `farzi.event_training`.
"""

import copy
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from farzi.data import Sequences, crops
from farzi.errors import FarziError
from farzi.losses import hard_next_event, soft_next_event
from farzi.models import SequenceModel, build_model
from farzi.recipe import Inner
from farzi.recipe import variants as v
from farzi.soft import Events, as_events
from farzi.summary import SOFT_INPUTS, BatchSchedule, SummaryTensors, chosen_soft_inputs
from farzi.unroll import Optimizer, train


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model, in evaluation mode."""

    model: SequenceModel
    seconds: float  # of the training, its validations included
    steps: int  # of the training
    best_step: int | None = None  # the step whose weights are kept, where a validation chose it


def make_model(
    student: v.StudentVariant, vocabulary: int, window: int, seed: int, device: torch.device | str = "cpu"
) -> SequenceModel:
    """A model with fresh random weights that depend on `seed` alone, not on the device; in evaluation mode.

    It reads one item less than a training window has: the last one is predicted, never read. The embedding of
    its position would stay random, and be used when the trained model reads a longer history.

    Raises:
        FarziError: as for `build_model`.
    """
    with seeded(seed):
        return build_model(student, vocabulary, window - 1).to(device)


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed PyTorch's generators of the CPU and of a device, and restore their states at the end."""
    device = torch.device(device)
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def make_optimizer(inner: Inner, steps: int | None = None) -> Optimizer:
    """The inner optimizer as a value; with `inner.cooldown` its rate decays in the last of T steps.

    T is `steps`, or else `inner.steps`. Step t, from 0 on, has the rate α min(1, (T − t) / (cooldown T)).

    Raises:
        FarziError: the user's own class is no `farzi.unroll.Optimizer`, or has no `learning_rate` to decay.
    """
    optimizer = inner.optimizer.build()
    if not isinstance(optimizer, Optimizer):
        raise FarziError(f"inner.optimizer.type {inner.optimizer.type}: is not a farzi.unroll.Optimizer")
    if inner.cooldown == 0:
        return optimizer
    rate = getattr(optimizer, "learning_rate", None)
    if rate is None:
        raise FarziError(
            f"inner.cooldown decays learning_rate, which {inner.optimizer.type} does not have; set it to 0"
        )
    steps = inner.steps if steps is None else steps
    rates = decaying_rates(rate, steps, inner.cooldown * steps, steps)
    return optimizer.with_hypers({"learning_rate": rates})


def decaying_rates(rate: float, end: float, decay: float, steps: int) -> Tensor:
    """Learning rates (steps,), float64: α min(1, (end − t) / decay) in step t, and 0 from `end` on.

    `rate` is α, and `end`, the number of steps of the whole training, may be more than `steps`.
    """
    remaining = end - torch.arange(steps, dtype=torch.float64)
    return rate * (remaining / decay).clamp(min=0, max=1)


class NextEvent(nn.Module):
    """A student's next-event loss as a function of its parameters, which the engine differentiates.

    With soft inputs, materialized (B, L, V) or in factors, it is the loss on a summary, with indices (B, L)
    the loss on real events.
    """

    def __init__(self, student: SequenceModel) -> None:
        super().__init__()
        self.student = student

    def forward(self, events: Events) -> Tensor:
        """Mean cross-entropy of the next event, nats."""
        if isinstance(events, Tensor) and not events.is_floating_point():
            read = events[:, :-1]
            hidden = self.student.hidden(self.student.embed(read), read > 0)
            return hard_next_event(hidden, self.student.output_table, events)
        embedded, labels = self.student.embed_twice(events)
        return soft_next_event(self.student.hidden(embedded[:, :-1]), self.student.output_table, labels)

    def parameters_of(self, student: SequenceModel) -> dict[str, Tensor]:
        """The parameters of a student of this architecture, detached, by their names in this module."""
        return {f"student.{name}": value.detach() for name, value in student.named_parameters()}

    def at(
        self, theta: dict[str, Tensor], data: Events | Mapping[str, Tensor], batch: Tensor | None = None
    ) -> Tensor:
        """The loss at parameters `theta`, named as by `parameters_of`, in nats.

        `data` may also be the factors of soft inputs, as a dict. `batch` are the sequences used, as an index
        into the data's first dimension; all if None.
        """
        events = as_events(data)
        return functional_call(self, theta, (events if batch is None else events[batch],))

    def read(self, theta: dict[str, Tensor], windows: Tensor) -> tuple[Tensor, Tensor]:
        """The student's hidden states (B, L, width) after events (B, L), and its output table (V, width)."""
        return functional_call(_Reader(self.student), theta, (windows,))

    def scores(self, theta: dict[str, Tensor], events: Events) -> Tensor:
        """The student's scores at parameters `theta`, (B, L, V), as `SequenceModel.forward` gives them."""
        return functional_call(self.student, _own_names(theta), (events,))

    def student_with(self, theta: dict[str, Tensor]) -> SequenceModel:
        """A copy of the student with the parameters `theta`."""
        student = copy.deepcopy(self.student)
        student.load_state_dict(student.state_dict() | _own_names(theta))
        return student


@dataclass(frozen=True, eq=False)
class Mixed:
    """Real events beside the summary in each step of a training: the summary is then a replay memory.

    A step reads as many synthetic sequences as without them, and so many real windows that these are `share`
    of its batch. It minimises (1 − share) · soft loss + share · hard loss, each a mean over positions.

    Attributes:
        events: the real sequences; one of them has two events at least.
        share: above 0 and below 1.

    Raises:
        FarziError: the share is not between 0 and 1, or no sequence has two events.
    """

    events: Sequences
    share: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise FarziError(f"share must be above 0 and below 1, not {self.share:g}")
        if not (self.events.lengths > 1).any():
            raise FarziError("the real events have no next event to learn: no user has two of them")

    def windows(self, batch: int) -> int:
        """Real windows in a step that reads `batch` synthetic sequences; one at least."""
        return max(1, round(batch * self.share / (1 - self.share)))

    def loss(self, loss: NextEvent, synthetic: int) -> "_MixedLoss":
        """The loss of a step whose batch begins with so many synthetic sequences."""
        return _MixedLoss(loss, synthetic, self.share)


@dataclass(frozen=True, eq=False)
class _MixedLoss:
    """Both losses as a function of the parameters: a batch is synthetic sequences, then real windows."""

    loss: NextEvent
    synthetic: int
    share: float

    def at(self, theta: dict[str, Tensor], data: Mapping[str, Tensor], batch: Tensor) -> Tensor:
        soft = dict(data)
        windows = soft.pop("windows")[batch[self.synthetic :]]
        events = soft.pop("soft", None)
        hard = self.loss.at(theta, windows)
        return (1 - self.share) * self.loss.at(
            theta, soft if events is None else events, batch[: self.synthetic]
        ) + self.share * hard


class _Reader(nn.Module):
    """A student's hidden states and output table, as a function of its parameters."""

    def __init__(self, student: SequenceModel) -> None:
        super().__init__()
        self.student = student

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.student.hidden(self.student.embed(windows), windows > 0)
        return hidden, self.student.output_table


def _own_names(theta: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("student."): value for name, value in theta.items()}


def check_history(model: SequenceModel, inner: Inner) -> None:
    """Raise FarziError where `inner.history` is longer than the histories that a model can read."""
    if (inner.history or 0) > model.length and not model.any_length:
        raise FarziError(
            f"inner.history: this model reads {model.length} events at most, as many as it was trained on; "
            "recurrent models read more, and attentive ones with student.positions rotary"
        )


def train_on_summary(
    summary: SummaryTensors,
    student: v.StudentVariant,
    inner: Inner,
    seed: int,
    steps: int | None = None,
    mixed: Mixed | None = None,
    dropout: float = 0.0,
) -> Trained:
    """Train a model from fresh random weights on a summary, on its device, as the inner loop does.

    With `inner.batch` each step reads some of the sequences, drawn by `farzi.summary.BatchSchedule`. `seed`
    is that of the first weights, of the sequences' order and of dropout; `steps` replaces `inner.steps`. With
    `mixed` real events have a share in each step. The inner loop has no dropout: a rate above 0 is for
    comparing settings of training on real events.
    """
    model = make_model(student, summary.vocabulary, summary.length, seed, summary.device)
    if not dropout:
        return fit_to_summary(model, summary, inner, seed, steps, mixed)
    with seeded(int(np.random.default_rng([seed, 7]).integers(2**62)), summary.device):
        return fit_to_summary(model, summary, inner, seed, steps, mixed, dropout)


def fit_to_summary(
    model: SequenceModel,
    summary: SummaryTensors,
    inner: Inner,
    seed: int,
    steps: int | None = None,
    mixed: Mixed | None = None,
    dropout: float = 0.0,
) -> Trained:
    """Train a copy of a given model, which is on the summary's device, as `train_on_summary` does."""
    start = time.perf_counter()
    model = copy.deepcopy(model).eval()
    if dropout:
        model.train().dropout = dropout
    loss = NextEvent(model)
    steps = inner.steps if steps is None else steps
    schedule = BatchSchedule(summary.sequences, inner.batch, seed, summary.device).batches(0, steps)
    with torch.no_grad():
        data = SOFT_INPUTS[chosen_soft_inputs(inner, summary)[0]](summary)
    at: Any = loss.at
    if mixed is not None:
        at, data, schedule = _with_events(mixed, loss, data, schedule, summary, inner, seed)
    end = train(at, loss.parameters_of(model), data, make_optimizer(inner, steps), schedule)
    trained = loss.student_with(end.theta).eval()
    check_history(trained, inner)
    trained.length = max(trained.length, inner.history or 0)
    return Trained(trained, time.perf_counter() - start, len(schedule))


def _with_events(
    mixed: Mixed,
    loss: NextEvent,
    data: Tensor | dict[str, Tensor],
    schedule: Sequence[None] | Tensor,
    summary: SummaryTensors,
    inner: Inner,
    seed: int,
) -> tuple[Any, dict[str, Tensor], Tensor]:
    """The loss, data and batches of a training on a summary with real windows in each step.

    Windows of every step are drawn beforehand, in proportion to the next events in a sequence (`crops`).
    """
    steps = len(schedule)
    if not isinstance(schedule, Tensor):  # all sequences in each step
        schedule = torch.arange(summary.sequences, device=summary.device).expand(steps, -1)
    synthetic = schedule.shape[1]
    real, width = mixed.windows(synthetic), max(summary.length, (inner.history or 0) + 1)
    drawn = crops(mixed.events, width, steps * real, np.random.default_rng([seed, 8]))
    windows = torch.from_numpy(drawn).to(summary.device)
    batches = torch.arange(steps * real, device=summary.device).view(steps, real)
    parts = data if isinstance(data, dict) else {"soft": data}
    both = parts | {"windows": windows}
    return mixed.loss(loss, synthetic).at, both, torch.cat([schedule, batches], 1)
