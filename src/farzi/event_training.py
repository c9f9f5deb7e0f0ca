"""Training a model from fresh random weights on real events, at full speed, with early stopping.

This is ordinary minibatch training, of which no derivative is taken: with dropout, fused operations, products
in bfloat16 if asked for, and windows of like length in a batch.
"""

import copy
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from farzi.data import Sequences, epoch
from farzi.data.fingerprint import checksum
from farzi.errors import FarziError
from farzi.losses import next_event
from farzi.models import SequenceModel
from farzi.recipe import Teach
from farzi.recipe import variants as v
from farzi.states import check_like, read_state, restoring, write_state
from farzi.training import Trained, make_model, seeded

FORMAT = "farzi-training-1"
ADVICE = "delete it to train from the start"
Report = Callable[[int, float, float], None]
"""Is told the steps taken, the last validation's score, and the seconds that are left at most."""
KEPT_EVERY = 60.0
"""Seconds between two checkpoints, at least."""
COUNTS = ("since", "best_step", "step", "epoch", "place")
"""The whole numbers of a training's state."""
MANY, NEGATIVES = 50_000, 4096
"""The size of a vocabulary from which on the loss is sampled, and by how many items, if not set."""


def windows_per_step(teach: Teach, log: Sequences, length: int) -> int:
    """Windows in each step on real events: `teach.batch`, or fewer if fewer fit without overlap."""
    return min(teach.batch, int((-(-log.lengths // length)).sum()))


_TORCH: dict[type, type[torch.optim.Optimizer]] = {
    v.Adam: torch.optim.Adam,
    v.AdamW: torch.optim.AdamW,
    v.SGD: torch.optim.SGD,
    v.Momentum: torch.optim.SGD,
    v.Adagrad: torch.optim.Adagrad,
    v.RMSprop: torch.optim.RMSprop,
}
_TORCH_NAMES = {"learning_rate": "lr", "epsilon": "eps", "decay": "alpha"}


def torch_optimizer(
    settings: v.OptimizerVariant, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """PyTorch's optimizer of these settings: no derivative through its steps is needed, and it is faster.

    Raises:
        FarziError: the user's own class is not a `torch.optim.Optimizer`.
    """
    if type(settings) not in _TORCH:
        optimizer = settings.build(parameters)
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise FarziError(f"teach.optimizer.type {settings.type}: is not a torch.optim.Optimizer")
        return optimizer
    own: dict[str, Any] = {_TORCH_NAMES.get(name, name): value for name, value in settings.own.items()}
    if "beta1" in own:
        own["betas"] = own.pop("beta1"), own.pop("beta2")
    if type(settings) in (v.Adam, v.AdamW):
        parameters = [*parameters]
        own["fused"] = all(one.device.type in ("cpu", "cuda") for one in parameters)
    return _TORCH[type(settings)](parameters, **own)


def training_facts(student: v.StudentVariant, teach: Teach, length: int) -> dict[str, Any]:
    """What a training depends on, besides its data and its seed, as JSON values."""
    settings = teach.model_dump(mode="json", exclude={"grid", "model", "length"})  # what it does not read
    return {"student": student.model_dump(mode="json"), "teach": settings, "length": length}


def training_key(student: v.StudentVariant, teach: Teach, length: int, seed: int, **further: Any) -> str:
    """A checksum of all that a training depends on; `further` are JSON values: the data, how it is judged."""
    own = training_facts(student, teach, length) | {"seed": seed} | further
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


def training_loss(model: SequenceModel, windows: Tensor, teach: Teach, negatives: Tensor | None) -> Tensor:
    """The mean cross-entropy of the next event of windows (B, L), zeros on the left, in nats."""
    precision = getattr(torch, teach.precision)
    read, targets = windows[:, :-1], windows[:, 1:]
    single = precision == torch.float32
    with nullcontext() if single else torch.autocast(windows.device.type, precision):
        hidden = model.hidden(model.embed(read), read > 0)
    real = targets > 0
    return next_event(hidden[real], model.output_table, targets[real], precision, negatives)


def drawn_negatives(teach: Teach, vocabulary: int, device: torch.device | str) -> Tensor | None:
    """The items that the loss of a step stands against, from PyTorch's generator of the CPU; None: all."""
    count = teach.negatives
    if count is None:
        count = NEGATIVES if vocabulary > MANY else 0
    if count == 0 or count >= vocabulary - 1:
        return None
    return torch.randint(1, vocabulary, (count,)).to(device)


class Training:
    """An unfinished training: everything that changes in it, and can be kept in a file.

    Args:
        model: with fresh weights, on its device.
        teach: how it is trained.
        log: training sequences.
        length: events in a window.
        seed: of the windows' order and of dropout.
        loss: of the model on windows (B, `length`), zeros on the left; that of the next event if None.
    """

    def __init__(
        self,
        model: SequenceModel,
        teach: Teach,
        log: Sequences,
        length: int,
        seed: int,
        loss: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.loss = loss or self.next_event
        self.model, self.teach, self.log, self.length, self.seed = model, teach, log, length, seed
        self.optimizer = torch_optimizer(teach.optimizer, model.parameters())
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.events = windows_per_step(teach, log, length) * length
        self.averaged = [one.detach().clone() for one in model.parameters()] if teach.average else None
        self.best_state = copy.deepcopy(model.state_dict())
        self.best, self.since, self.best_step = -np.inf, 0, 0
        self.step, self.epoch, self.place, self.seconds = 0, 0, 0, 0.0

    def batches(self) -> Iterator[Tensor]:
        """Windows from where the training stands on, epoch after epoch."""
        device = self.model.device
        while True:
            rng = np.random.default_rng([self.seed, 9, self.epoch])
            skipped = self.place
            for place, windows in enumerate(epoch(self.log, self.length, self.events, rng)):
                if place >= skipped:
                    self.place = place + 1
                    yield torch.from_numpy(windows).to(device)
            self.epoch, self.place = self.epoch + 1, 0

    def next_event(self, windows: Tensor) -> Tensor:
        """The model's loss on windows of real events, among all items or against sampled ones."""
        negatives = drawn_negatives(self.teach, len(self.model.output_table), windows.device)
        return training_loss(self.model, windows, self.teach, negatives)

    @property
    def share_done(self) -> float:
        """How much of the training is over, by its steps or by the clock; 1 or more at its end."""
        by_clock = 0.0 if self.teach.minutes is None else self.seconds / (60 * self.teach.minutes)
        return max(self.step / self.teach.max_steps, by_clock)

    @property
    def left(self) -> float:
        """The seconds that are left at most; patience may end it before."""
        return self.seconds * (1 - min(1.0, self.share_done)) / self.share_done

    def take_step(self, windows: Tensor) -> None:
        """One step of the optimizer at the rate of this moment."""
        teach = self.teach
        factor = min(1.0, (self.step + 1) / (teach.warmup + 1))
        if teach.cooldown:
            factor *= max(0.0, min(1.0, (1 - self.share_done) / teach.cooldown))
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.zero_grad()
        self.loss(windows).backward()
        self.optimizer.step()
        self.step += 1
        if self.averaged is not None:
            # at first over few steps: a mean of fresh weights would be worth nothing for long
            weight = max(1 - teach.average, 1 / (1 + self.step))
            with torch.no_grad():
                for mean, parameter in zip(self.averaged, self.model.parameters(), strict=True):
                    mean.lerp_(parameter, weight)

    def validated(self, score: Callable[[SequenceModel], float]) -> float:
        """The figure of the model as it is now, or of the mean of its weights; the best is remembered."""
        judged = self.model
        if self.averaged is not None:
            judged = copy.deepcopy(self.model)
            for parameter, mean in zip(judged.parameters(), self.averaged, strict=True):
                parameter.data.copy_(mean)
        figure = score(judged.eval())
        self.since += 1
        if figure > self.best:
            self.best, self.since, self.best_step = figure, 0, self.step
            self.best_state = copy.deepcopy(judged.state_dict())
        self.model.train()
        return figure

    @property
    def done(self) -> bool:
        """Whether it has taken all its steps or its time, or its validations get no better."""
        return self.share_done >= 1 or self.since >= self.teach.patience

    def keep(self, path: Path, key: str) -> None:
        """Write everything to a file, whose folder is made if need be, with the training's key."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_state(path, FORMAT, {"key": key} | self._state())

    def _state(self) -> dict[str, Any]:
        moments = self.optimizer.state_dict()["state"]
        device = self.model.device
        return {
            "model": dict(self.model.state_dict()),
            "optimizer": {str(index): one for index, one in moments.items()},
            "averaged": self.averaged,
            "best_state": dict(self.best_state),
            "random": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
            **{name: getattr(self, name) for name in COUNTS},
            "seconds": self.seconds,
            "best": float(self.best) if np.isfinite(self.best) else None,
        }

    def resume(self, path: Path, key: str) -> None:
        """Go on from a file that `keep` wrote. Raises FarziError if it is damaged, or of another training."""
        state = read_state(path, FORMAT, ADVICE, "cpu")
        if not isinstance(state, dict) or state.pop("key", None) != key:
            raise FarziError(f"{path}: is of a training on other data or with other settings; {ADVICE}")
        with restoring(path, ADVICE):
            check_like(state, self._state() | {"cuda": None})
            moments = self._moments()
            given = {int(index): one for index, one in state["optimizer"].items()}
            check_like(given, {index: moments[index] for index in given}, "optimizer")
            self.model.load_state_dict(state["model"])
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": given, "param_groups": groups})
            if self.averaged is not None:
                self.averaged = [one.to(self.model.device) for one in state["averaged"]]
            self.best_state = state["best_state"]
            self.best = -np.inf if state["best"] is None else float(state["best"])
            for name in COUNTS:
                if not 0 <= state[name] <= self.teach.max_steps:
                    raise ValueError(f"{name} is {state[name]}")
                setattr(self, name, state[name])
            self.seconds = state["seconds"]
            torch.set_rng_state(state["random"])
            if state["cuda"] is not None and self.model.device.type == "cuda":
                torch.cuda.set_rng_state(state["cuda"], self.model.device)

    def _moments(self) -> dict[int, dict[str, Any]]:
        """What the optimizer holds of each parameter after a step, to compare with."""
        copies = [nn.Parameter(torch.zeros_like(one, device="cpu")) for one in self.model.parameters()]
        optimizer = torch_optimizer(self.teach.optimizer, copies)
        for one in copies:
            one.grad = torch.zeros_like(one)
        optimizer.step()
        return optimizer.state_dict()["state"]


def train_on_events(
    log: Sequences,
    student: v.StudentVariant,
    vocabulary: int,
    length: int,
    seed: int,
    teach: Teach,
    score: Callable[[SequenceModel], float],
    device: torch.device | str = "cpu",
    report: Report = lambda step, figure, left: None,
    checkpoint: Path | None = None,
    judged: str = "",
    loss_of: Callable[[SequenceModel], Callable[[Tensor], Tensor]] | None = None,
) -> Trained:
    """Train a model from fresh random weights on real sequences until `score` stops improving.

    Every random draw depends on `seed` alone, those of dropout (`teach.dropout`) included.

    Args:
        log: training sequences.
        student: the architecture.
        vocabulary: V, padding included.
        length: events in a window.
        seed: of the first weights, of the windows' order and of dropout.
        teach: optimizer, dropout, batch and patience.
        score: measures the model on validation data, higher is better.
        device: where the model is trained.
        report: called after each validation with the steps taken, the score, and the seconds that are left at
            most.
        checkpoint: a file from which the training goes on if it is there, and which is kept up to date at
            validations; who has saved the model deletes it. Resumed, the training ends in the same model, bit
            for bit. An optimizer of the user's own class is not kept: such a training starts again.
        judged: what `score` measures, in words; a checkpoint of something else is refused.
        loss_of: gives a model's loss on windows (B, length); the next event's cross-entropy if None.

    Returns:
        The model at its best validation; the seconds count all steps taken.

    Raises:
        FarziError: as for `build_model` and `torch_optimizer`; no sequence has two events; or the checkpoint
            is damaged, or of another training.
        OSError: the checkpoint cannot be written.
    """
    if not (log.lengths > 1).any():
        raise FarziError("nothing to train on: no sequence has two events")
    model = make_model(student, vocabulary, length, seed, device)
    if teach.dropout:
        model.dropout = teach.dropout
    loss = None if loss_of is None else loss_of(model)
    training, key = Training(model, teach, log, length, seed, loss), ""
    if type(teach.optimizer) not in _TORCH:
        checkpoint = None
    if checkpoint is not None:
        further = {"vocabulary": vocabulary, "data": checksum(log), "judged": judged}
        key = training_key(student, teach, length, seed, **further)
    return run_training(training, score, report, checkpoint, key)


def run_training(
    training: Training,
    score: Callable[[SequenceModel], float],
    report: Report = lambda step, figure, left: None,
    checkpoint: Path | None = None,
    key: str = "",
    from_start: bool = False,
    keep_every: float | None = None,
) -> Trained:
    """Take a training to its end; arguments as of `train_on_events`.

    `key` is that of the checkpoint. With `from_start` the weights that it starts from are validated as well,
    and kept if none are better. `keep_every` are seconds between two checkpoints, `KEPT_EVERY` if None.
    """
    model, device = training.model, training.model.device
    pause = KEPT_EVERY if keep_every is None else keep_every
    with seeded(int(np.random.default_rng([training.seed, 7]).integers(2**62)), device):
        if checkpoint is not None and checkpoint.exists():
            training.resume(checkpoint, key)
        begun = time.perf_counter() - training.seconds
        kept = training.seconds
        if from_start and training.step == 0:
            report(0, training.validated(score), 0.0)
        model.train()
        for windows in training.batches():
            training.seconds = time.perf_counter() - begun  # which decide the rate, if minutes are given
            training.take_step(windows)
            training.seconds = time.perf_counter() - begun
            if training.share_done >= 1 or training.step % training.teach.validate_every == 0:
                figure = training.validated(score)
                training.seconds = time.perf_counter() - begun
                report(training.step, figure, training.left)
                if training.done:
                    break
                if checkpoint is not None and training.seconds > kept + pause:
                    kept = training.seconds
                    training.keep(checkpoint, key)
    model.load_state_dict(training.best_state)
    return Trained(model.eval(), time.perf_counter() - begun, training.step, training.best_step)
