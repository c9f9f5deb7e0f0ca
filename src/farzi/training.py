"""Training a student from scratch: on a summary, by its recipe, or on real events, until it gets no better.

Both start from fresh random weights, embeddings included. `train_on_summary` is the inner loop itself, so
that a student is trained exactly as the distillation expected; `train_on_events` is ordinary minibatch
training with early stopping.
"""

import copy
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from farzi.data import Sequences, crops
from farzi.errors import FarziError
from farzi.losses import hard_next_event, soft_next_event
from farzi.models import SequenceModel, build_model
from farzi.recipe import Inner, Teach
from farzi.recipe.variants import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Momentum,
    OptimizerVariant,
    RMSprop,
    StudentVariant,
)
from farzi.soft import Events, as_events
from farzi.summary import SOFT_INPUTS, BatchSchedule, SummaryTensors, chosen_soft_inputs
from farzi.unroll import Optimizer, train


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained student and what it took.

    Attributes:
        student: the student.
        seconds: wall-clock seconds of the training, early-stopping measurements included.
        steps: optimizer steps taken.
    """

    student: SequenceModel
    seconds: float
    steps: int


def make_model(
    student: StudentVariant,
    vocabulary: int,
    window: int,
    seed: int,
    device: torch.device | str = "cpu",
) -> SequenceModel:
    """A student with fresh random weights that depend on `seed` alone, whatever the device.

    It takes one event less than a training window has: the last one is predicted, never read, so that its
    position would keep its first, random embedding, and meet it when the student is used.

    Args:
        student: the architecture.
        vocabulary: V, padding included.
        window: events in the sequences that it will be trained on, at least 2.
        seed: of its weights.
        device: where they lie.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_model(student, vocabulary, window - 1).to(device)


def make_optimizer(inner: Inner, steps: int | None = None) -> Optimizer:
    """The inner optimizer as a value, with its rate decayed at the end where `inner.cooldown` says so.

    Step t of T has the rate α min(1, (T − t) / (cooldown T)), t from 0 on.

    Args:
        inner: the training on the summary.
        steps: T, if not `inner.steps`.

    Raises:
        FarziError: an optimizer from outside this package is none, or has no `learning_rate` to decay.
    """
    optimizer = inner.optimizer.build()
    if not isinstance(optimizer, Optimizer):
        raise FarziError(f"inner.optimizer.type {inner.optimizer.type}: is not a farzi.unroll.Optimizer")
    if inner.cooldown == 0:
        return optimizer
    if not hasattr(optimizer, "learning_rate"):
        raise FarziError(
            f"inner.cooldown decays learning_rate, which {inner.optimizer.type} does not have; set it to 0"
        )
    steps = inner.steps if steps is None else steps
    rates = falling(inner.optimizer.own["learning_rate"], steps, inner.cooldown * steps, steps)
    return optimizer.with_hypers({"learning_rate": rates})


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

    def __init__(self, student: SequenceModel) -> None:
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

    def parameters_of(self, student: SequenceModel) -> dict[str, Tensor]:
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

    def put(self, theta: dict[str, Tensor]) -> SequenceModel:
        """A student of this architecture that holds the parameters `theta`."""
        student = copy.deepcopy(self.student)
        student.load_state_dict(
            {name.removeprefix("student."): value.detach() for name, value in theta.items()}
        )
        return student


def train_on_summary(
    summary: SummaryTensors, student: StudentVariant, inner: Inner, seed: int, steps: int | None = None
) -> Trained:
    """Train a fresh student on a summary, with the inner loop's optimizer and number of steps.

    Where a step reads a few sequences only (`inner.batch`), which ones is drawn by `farzi.summary.BatchSchedule`.

    Args:
        summary: what to train on; the model is where it is.
        student: the architecture.
        inner: the training.
        seed: of the student's first weights, and of the order of the summary's sequences.
        steps: number of steps instead of `inner.steps`.
    """
    model = make_model(student, summary.vocabulary, summary.length, seed, summary.device)
    return fit_to_summary(model, summary, inner, seed, steps)


def fit_to_summary(
    student: SequenceModel, summary: SummaryTensors, inner: Inner, seed: int, steps: int | None = None
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
    schedule = BatchSchedule(summary.sequences, inner.batch, seed, summary.device).batches(0, steps)
    with torch.no_grad():
        data = SOFT_INPUTS[chosen_soft_inputs(inner, summary)[0]](summary)
    end = train(loss.at, loss.parameters_of(student), data, make_optimizer(inner, steps), schedule)
    return Trained(loss.put(end.theta), time.perf_counter() - start, len(schedule))


def windows_per_step(teach: Teach, log: Sequences, length: int) -> int:
    """Windows in a step of training on real events: `teach.batch`, or as many as fit without overlap."""
    return min(teach.batch, int((-(-log.lengths // length)).sum()))


def torch_optimizer(settings: OptimizerVariant, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """PyTorch's own optimizer, which needs no derivative through its steps and is faster.

    Raises:
        FarziError: a class from outside this package is no `torch.optim.Optimizer`.
    """
    own = dict(settings.own)
    rate = own.pop("learning_rate", None)
    match settings:
        case Adam() | AdamW():
            kind = torch.optim.Adam if isinstance(settings, Adam) else torch.optim.AdamW
            betas, epsilon = (own["beta1"], own["beta2"]), own["epsilon"]
            return kind(parameters, lr=rate, betas=betas, eps=epsilon, weight_decay=own["weight_decay"])
        case SGD() | Momentum():
            return torch.optim.SGD(parameters, lr=rate, **own)
        case Adagrad():
            return torch.optim.Adagrad(parameters, lr=rate, eps=own.pop("epsilon"), **own)
        case RMSprop():
            return torch.optim.RMSprop(
                parameters, lr=rate, alpha=own.pop("decay"), eps=own.pop("epsilon"), **own
            )
        case _:
            optimizer = settings.build(parameters)
            if not isinstance(optimizer, torch.optim.Optimizer):
                raise FarziError(f"teach.optimizer.type {settings.type}: is not a torch.optim.Optimizer")
            return optimizer


def train_on_events(
    log: Sequences,
    student: StudentVariant,
    vocabulary: int,
    length: int,
    seed: int,
    teach: Teach,
    score: Callable[[SequenceModel], float],
    device: torch.device | str = "cpu",
    heard: Callable[[int, float], None] = lambda step, figure: None,
) -> Trained:
    """Train a fresh student on real sequences until `score` gets no better.

    Args:
        log: training sequences.
        student: the architecture.
        vocabulary: V, padding included.
        length: events in a window.
        seed: of the first weights and of the windows drawn.
        teach: optimizer, batch and patience.
        score: the figure of merit on validation data, higher is better.
        device: where it is trained.
        heard: called after each measurement with the steps taken and the figure.

    Returns:
        The student at its best measurement; the seconds count all steps taken.
    """
    start = time.perf_counter()
    model = make_model(student, vocabulary, length, seed, device)
    loss = NextEvent(model)
    optimizer = torch_optimizer(teach.optimizer, model.parameters())
    rng = np.random.default_rng(seed)
    batch = windows_per_step(teach, log, length)
    best, best_state, since, step = -np.inf, copy.deepcopy(model.state_dict()), 0, 0
    while step < teach.max_steps and since < teach.patience:
        windows = torch.from_numpy(crops(log, length, batch, rng)).to(device)
        optimizer.zero_grad()
        loss(windows).backward()
        optimizer.step()
        step += 1
        if step % teach.validate_every == 0 or step == teach.max_steps:
            figure = score(model)
            heard(step, figure)
            since += 1
            if figure > best:
                best, best_state, since = figure, copy.deepcopy(model.state_dict()), 0
    model.load_state_dict(best_state)
    return Trained(model, time.perf_counter() - start, step)
