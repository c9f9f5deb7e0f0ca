"""Inner runs: trainings on the summary while it changes, where truncation windows begin, and their rates."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from farzi.distillation.weights import Theta
from farzi.recipe import Inner
from farzi.training import NextEvent, decaying_rates, make_optimizer
from farzi.unroll import Optimizer, State, stack, stacked_loss, unstack
from farzi.unroll.execution import TreeLoss


class InnerRun(NamedTuple):
    """A student in training on the summary.

    Attributes:
        theta: its parameters.
        state: its optimizer's state; `state.step` counts the steps taken.
        started_at: the outer step at which the run started. With the number of steps taken it determines
            which of the summary's sequences the next steps read.
    """

    theta: Theta
    state: State
    started_at: int


class Replicas:
    """Inner runs differentiated side by side, as one run of stacked parameters.

    Their metagradient is the mean of those of the single runs. A small model that does not fill the machine
    costs little more in several copies.

    Args:
        loss: one model's loss.
        count: number of replicas.
    """

    def __init__(self, loss: NextEvent, count: int) -> None:
        self.loss, self.count = loss, count
        # a compiled run recognises a loss by its function, hence always the same one
        self.inner: TreeLoss = loss.at if count == 1 else stacked_loss(loss.at)

    def split(self, theta: Theta) -> list[Theta]:
        """The parameters of each replica."""
        return [theta] if self.count == 1 else unstack(theta)

    def join(self, members: Sequence[Theta]) -> Theta:
        """The inverse of `split`."""
        return members[0] if self.count == 1 else stack(members)

    def mean(self, loss: Callable[[Theta], Tensor], theta: Theta) -> Tensor:
        """The mean of a loss over the replicas."""
        if self.count == 1:
            return loss(theta)
        return torch.stack([loss(member) for member in self.split(theta)]).mean()


class Rates(NamedTuple):
    """Learning rates of inner runs and of truncation windows.

    If the schedule decays the rate at the end, each window is annealed in the same way on a copy of the run;
    the run itself continues at the constant rate. The metagradient is then that of the end of a training, not
    of wherever the last sequences happened to push the weights (docs/decisions/0012-cooled-windows.md).

    Attributes:
        optimizer: of the inner loop, at the constant rate.
        rate: that rate.
        window: K, the steps that are differentiated.
        cooldown: last steps of a training in which the rate decays to 0; not always a whole number.
        steps: T, steps of a training.
    """

    optimizer: Optimizer
    rate: float
    window: int
    cooldown: float
    steps: int

    @staticmethod
    def of(inner: Inner, window: int) -> "Rates":
        """Those of a recipe's inner loop and truncation window."""
        optimizer = make_optimizer(inner.model_copy(update={"cooldown": 0.0}))
        make_optimizer(inner)  # raises where there is no rate to decay
        rate = float(getattr(optimizer, "learning_rate", 0.0))
        return Rates(optimizer, rate, window, inner.cooldown * inner.steps, inner.steps)

    def scaled(self, factor: float) -> "Rates":
        """The same for a run with another rate, which is a tensor, so that all runs share a graph."""
        rate = factor * self.rate
        value = torch.tensor(rate, dtype=torch.float64)
        return self._replace(rate=rate, optimizer=self.optimizer.with_hypers({"learning_rate": value}))

    @property
    def annealed(self) -> bool:
        """Whether windows run on a copy, at a decaying rate."""
        return self.cooldown > 0

    @property
    def length(self) -> int:
        """Steps from where a window's copy is made to its end: K, or the whole cooldown if that is longer."""
        return max(self.window, math.ceil(self.cooldown))

    @property
    def running(self) -> Optimizer:
        """The optimizer of runs in progress."""
        return self._until(math.inf)

    def ending(self, steps_taken: int) -> Optimizer:
        """The optimizer of a copy that is made after so many steps of a run."""
        return self._until(steps_taken + self.length)

    def _until(self, end: float) -> Optimizer:
        if not self.annealed:
            return self.optimizer
        # of one shape whatever the end, so that all share a compiled graph
        rates = decaying_rates(self.rate, end, self.cooldown, self.steps)
        return self.optimizer.with_hypers({"learning_rate": rates})


Start = Callable[[Theta, int], InnerRun]
"""start(theta, steps): train new weights for some steps on the present summary, nothing differentiated."""


class RunPool:
    """Inner runs in progress; each outer step differentiates a window of one of them.

    A run enters after its burn-in and is replaced by a new one when no further window fits into a training.
    Its early steps were taken on a slightly older summary, which costs little and saves most of the
    undifferentiated steps (as the model pool of FRePo, arXiv 2206.00719). A pool of size 0 starts a new run
    for each outer step and draws the end of its window (RaT-BPTT, arXiv 2311.09128).

    Args:
        weights: draws first weights.
        rates: of the runs; they say how long a window is.
        burn_in: first steps, never differentiated.
        size: number of runs.
    """

    def __init__(
        self, weights: Callable[[np.random.Generator], Theta], rates: Rates, burn_in: int, size: int
    ) -> None:
        self._weights, self._last = weights, rates.steps - rates.length
        self._first = min(burn_in, self._last)
        self._runs: list[InnerRun | None] = [None] * size
        self._taken = 0

    def take(self, start: Start, rng: np.random.Generator) -> InnerRun:
        """The run whose window is next."""
        if not self._runs:
            steps = int(rng.integers(self._first, self._last + 1))
            return start(self._weights(rng), steps)
        self._taken = int(rng.integers(len(self._runs)))
        run = self._runs[self._taken]
        if run is None or run.state.step > self._last:
            return start(self._weights(rng), self._first)
        return run

    def put(self, run: InnerRun) -> None:
        """Return the run taken last, at the end of its window. One that has diverged is dropped."""
        if self._runs:
            finite = all(bool(value.isfinite().all()) for value in run.theta.values())
            self._runs[self._taken] = run if finite else None

    def state_dict(self) -> dict[str, Any]:
        """The runs by their place: parameters, optimizer slots, steps taken and start."""
        return {
            str(place): {
                "theta": dict(run.theta),
                "slots": {str(k): slot for k, slot in enumerate(run.state.slots)},
                "steps": run.state.step,
                "started_at": run.started_at,
            }
            for place, run in enumerate(self._runs)
            if run is not None
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`."""
        self._runs = [None] * len(self._runs)
        for place, run in state.items():
            slots = run.get("slots", {})
            optimizer = State(run["steps"], tuple(slots[str(k)] for k in range(len(slots))))
            self._runs[int(place)] = InnerRun(run["theta"], optimizer, run["started_at"])
