"""Training a student from scratch: on a summary, by its recipe, or on real events, until it gets no better.

Both start from fresh random weights, embeddings included. `train_on_summary` is the inner loop itself, so
that a student is trained exactly as the distillation expected; `train_on_events` is ordinary minibatch
training with early stopping.
"""

import copy
import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from farzi.data import Sequences, crops
from farzi.losses import hard_next_event, soft_next_event
from farzi.recipe import InnerSettings, StudentSettings
from farzi.soft import Events, as_events
from farzi.students import Student, build_student
from farzi.summary import FEEDS, Rows, Summary, chosen_feed
from farzi.unroll import SGD, Adagrad, Adam, AdamW, Momentum, Optimizer, RMSprop, train


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained student and what it took.

    Attributes:
        student: the student.
        seconds: wall-clock seconds of the training, early-stopping measurements included.
        steps: optimizer steps taken.
    """

    student: Student
    seconds: float
    steps: int


def make_student(
    settings: StudentSettings,
    vocabulary: int,
    window: int,
    seed: int,
    device: torch.device | str = "cpu",
) -> Student:
    """A student with fresh random weights that depend on `seed` alone, whatever the device.

    It takes one event less than a training window has: the last one is predicted, never read, so that its
    position would keep its first, random embedding, and meet it when the student is used.

    Args:
        settings: the architecture.
        vocabulary: V, padding included.
        window: events in the sequences that it will be trained on, at least 2.
        seed: of its weights.
        device: where they lie.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_student(settings, vocabulary, window - 1).to(device)


OPTIMIZERS: Mapping[str, Callable[..., Optimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "sgd": SGD,
    "momentum": Momentum,
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
}
"""By the names that a recipe uses."""


def make_optimizer(settings: InnerSettings, steps: int | None = None) -> Optimizer:
    """The inner optimizer as a value: what the settings leave out, or it does not have, is left to it.

    Args:
        settings: names it, and its hyper-parameters.
        steps: of a whole training, if not `settings.steps`: the learning rate falls at their end.
    """
    kind = OPTIMIZERS[settings.optimizer]
    has = {field.name for field in dataclasses.fields(cast(Any, kind))}
    given = {name: getattr(settings, name) for name in ("beta1", "beta2", "epsilon", "weight_decay")}
    kept = {name: value for name, value in given.items() if name in has and value is not None}
    return kind(learning_rates(settings, settings.steps if steps is None else steps), **kept)


def learning_rates(settings: InnerSettings, steps: int) -> float | Tensor:
    """The inner learning rate, or where it falls at the end, that of each step, (steps,), float64.

    Step t of T has α min(1, (T − t) / (cooldown T)), t from 0 on.
    """
    if settings.cooldown == 0:
        return settings.learning_rate
    return falling(settings.learning_rate, steps, settings.cooldown * steps, steps)


def falling(rate: float, end: float, last: float, steps: int) -> Tensor:
    """Learning rates (steps,), float64: step t of them has α min(1, (end − t) / last), and 0 from `end` on.

    Args:
        rate: α.
        end: steps of the training; it may go on for longer than `steps`.
        last: steps at its end in which the rate falls.
        steps: how many are wanted.
    """
    left = end - torch.arange(steps, dtype=torch.float64)
    return rate * (left / last).clamp(min=0, max=1)


class NextEvent(nn.Module):
    """A student's next-event loss as a function of its parameters: what the engine differentiates.

    Called with soft events, whole (B, L, V) or in factors, it is the loss on a summary, with indices (B, L)
    the one on real events.
    """

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def forward(self, events: Events) -> Tensor:
        """Mean cross-entropy of the next event, nats."""
        if isinstance(events, Tensor) and not events.is_floating_point():
            read = events[:, :-1]
            hidden = self.student.hidden(self.student.embed(read), read > 0)
            return hard_next_event(hidden, self.student.output_table, events)
        embedded, targets = self.student.embed_twice(events)
        return soft_next_event(self.student.hidden(embedded[:, :-1]), self.student.output_table, targets)

    def parameters_of(self, student: Student) -> dict[str, Tensor]:
        """The parameters of a student of the same architecture, detached, under this module's names."""
        return {f"student.{name}": value.detach() for name, value in student.named_parameters()}

    def at(
        self, theta: dict[str, Tensor], data: Events | Mapping[str, Tensor], batch: Tensor | None = None
    ) -> Tensor:
        """The loss at parameters `theta`; `batch`, where given, indexes the sequences used.

        Args:
            theta: as `parameters_of` names them.
            data: events, or the factors of soft events as a dict.
            batch: rows of the data.
        """
        events = as_events(data)
        return functional_call(self, theta, (events if batch is None else events[batch],))

    def put(self, theta: dict[str, Tensor]) -> Student:
        """A student of this architecture that holds the parameters `theta`."""
        student = copy.deepcopy(self.student)
        student.load_state_dict(
            {name.removeprefix("student."): value.detach() for name, value in theta.items()}
        )
        return student


def train_on_summary(
    summary: Summary, settings: StudentSettings, inner: InnerSettings, seed: int, steps: int | None = None
) -> Trained:
    """Train a fresh student on a summary, with the inner loop's optimizer and number of steps.

    Where a step reads a few sequences only (`inner.batch`), which ones is drawn as `farzi.summary.Rows` says.

    Args:
        summary: what to train on; the student is where it is.
        settings: the architecture.
        inner: the training.
        seed: of the student's first weights, and of the order of the summary's sequences.
        steps: number of steps instead of `inner.steps`.
    """
    student = make_student(settings, summary.vocabulary, summary.length, seed, summary.device)
    return fit_to_summary(student, summary, inner, seed, steps)


def fit_to_summary(
    student: Student, summary: Summary, inner: InnerSettings, seed: int, steps: int | None = None
) -> Trained:
    """Train a student of one's own on a summary, as `train_on_summary` trains a fresh one.

    Args:
        student: begins at its weights, on the summary's device; it stays as it is.
        summary: what to train on.
        inner: the training.
        seed: of the order of the summary's sequences.
        steps: number of steps instead of `inner.steps`.
    """
    start = time.perf_counter()
    loss = NextEvent(student)
    steps = inner.steps if steps is None else steps
    schedule = Rows(summary.sequences, inner.batch, seed, summary.device).batches(0, steps)
    with torch.no_grad():
        data = FEEDS[chosen_feed(inner, summary)[0]](summary)
    end = train(loss.at, loss.parameters_of(student), data, make_optimizer(inner, steps), schedule)
    return Trained(loss.put(end.theta), time.perf_counter() - start, len(schedule))


@dataclass(frozen=True)
class EventTraining:
    """Ordinary training on real events: Adam on random windows, stopped when validation gets no better.

    Attributes:
        learning_rate: Adam's.
        batch: windows a step; as many as stand side by side in the sequences where these are fewer.
        steps: at most so many steps.
        every: steps between two measurements.
        patience: measurements without a better one before it stops; the best weights are kept.
    """

    learning_rate: float = 3e-3
    batch: int = 128
    steps: int = 5000
    every: int = 50
    patience: int = 5

    def reading(self, batch: int) -> "EventTraining":
        """The same with another batch: measured after as many windows, and at most as many of them read."""

        def steps(of: int) -> int:
            return max(1, round(of * self.batch / batch))

        return replace(self, batch=batch, steps=steps(self.steps), every=steps(self.every))

    def windows(self, log: Sequences, length: int) -> int:
        """The windows of a step: `batch`, but no more than the sequences have without overlap."""
        return min(self.batch, int((-(-log.lengths // length)).sum()))


def train_on_events(
    log: Sequences,
    settings: StudentSettings,
    vocabulary: int,
    length: int,
    seed: int,
    training: EventTraining,
    score: Callable[[Student], float],
    device: torch.device | str = "cpu",
    heard: Callable[[int, float], None] = lambda step, figure: None,
) -> Trained:
    """Train a fresh student on real sequences until `score` gets no better.

    Args:
        log: training sequences.
        settings: the architecture.
        vocabulary: V, padding included.
        length: events in a window.
        seed: of the first weights and of the windows drawn.
        training: step size, batch and patience.
        score: the figure of merit on validation data, higher is better.
        device: where it is trained.
        heard: called after each measurement with the steps taken and the figure.

    Returns:
        The student at its best measurement; the seconds count all steps taken.
    """
    start = time.perf_counter()
    student = make_student(settings, vocabulary, length, seed, device)
    loss = NextEvent(student)
    optimizer = torch.optim.Adam(student.parameters(), lr=training.learning_rate)
    rng = np.random.default_rng(seed)
    batch = training.windows(log, length)
    best, best_state, since, step = -np.inf, copy.deepcopy(student.state_dict()), 0, 0
    while step < training.steps and since < training.patience:
        windows = torch.from_numpy(crops(log, length, batch, rng)).to(device)
        optimizer.zero_grad()
        loss(windows).backward()
        optimizer.step()
        step += 1
        if step % training.every == 0 or step == training.steps:
            figure = score(student)
            heard(step, figure)
            since += 1
            if figure > best:
                best, best_state, since = figure, copy.deepcopy(student.state_dict()), 0
    student.load_state_dict(best_state)
    return Trained(student, time.perf_counter() - start, step)
