"""Inner runs: trainings on the summary while it changes, their first weights, rates and execution."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from farzi.models import SequenceModel
from farzi.recipe import Inner, Recipe
from farzi.states import check_like
from farzi.training import NextEvent, decaying_rates, make_optimizer
from farzi.unroll import Compiled, Eager, Execution, Optimizer, State, interpreter

Theta = dict[str, Tensor]
"""A model's parameters by name, as `farzi.training.NextEvent` names them."""

Fresh = Callable[[np.random.Generator], Theta]
"""Draws new random weights."""


class InnerRun(NamedTuple):
    """A student in training on the summary."""

    theta: Theta
    state: State  # the optimizer's; `state.step` counts the steps taken
    started_at: int  # the outer step; with the steps taken it determines which sequences the next ones read

    @property
    def optimizer_state(self) -> State | None:
        """What the engine continues from; None before the first step."""
        return self.state if self.state.step else None


class Weights(Protocol):
    """Draws the weights that an inner run starts from.

    One that has an attribute `trajectories = True` gets weights recorded along a full-data training.
    """

    def __call__(self, rng: np.random.Generator, fresh: Fresh, recorded: Sequence[Theta]) -> Theta:
        """The weights of one run.

        Args:
            rng: for all random draws.
            fresh: draws new random weights.
            recorded: weights along a full-data training, in the order of their steps; empty if not wanted.
        """
        ...


@dataclass(frozen=True)
class FreshWeights:
    """New random weights, as every training on a finished summary starts from."""

    def __call__(self, rng: np.random.Generator, fresh: Fresh, recorded: Sequence[Theta]) -> Theta:
        return fresh(rng)


@dataclass(frozen=True)
class PretrainedWeights:
    """Weights along a full-data training (Ω in the paper), or fresh ones for part of the runs."""

    share: float = 1.0  # of the runs that start from recorded weights
    trajectories = True

    def __call__(self, rng: np.random.Generator, fresh: Fresh, recorded: Sequence[Theta]) -> Theta:
        if self.share < 1 and rng.random() < 1 - self.share:
            return fresh(rng)
        return recorded[int(rng.integers(len(recorded)))]


class Rates(NamedTuple):
    """Learning rates of inner runs and of truncation windows.

    If the schedule decays the rate at the end, each window is annealed in the same way on a copy of the run;
    the run itself continues at the constant rate. The metagradient is then that of the end of a training, not
    of wherever the last sequences happened to push the weights (docs/decisions/0012-cooled-windows.md).
    """

    optimizer: Optimizer  # of the inner loop, at the constant rate
    rate: float  # that rate
    window: int  # K, the steps that are differentiated
    cooldown: float  # last steps of a training, in which the rate decays to 0; not always a whole number
    steps: int  # T, steps of a training

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

    def until(self, end: float = math.inf) -> Optimizer:
        """The optimizer of a training that ends after `end` steps; of a run in progress if left out."""
        if not self.annealed:
            return self.optimizer
        # of one shape whatever the end, so that all share a compiled graph
        rates = decaying_rates(self.rate, end, self.cooldown, self.steps)
        return self.optimizer.with_hypers({"learning_rate": rates})


class RunPool:
    """Inner runs of one replica of a student; each outer step differentiates a window of one of them.

    A run enters after its burn-in and is replaced by a new one when no further window fits into a training.
    Its early steps were taken on a slightly older summary, which costs little and saves most of the
    undifferentiated steps (as the model pool of FRePo, arXiv 2206.00719). A pool of size 0 starts a new run
    for each outer step and draws the end of its window (RaT-BPTT, arXiv 2311.09128).

    Args:
        loss: the student's.
        weights: draws first weights.
        rates: of the runs; they say how long a window is.
        burn_in: first steps, never differentiated.
        size: number of runs.
    """

    def __init__(
        self,
        loss: NextEvent,
        weights: Callable[[np.random.Generator], Theta],
        rates: Rates,
        burn_in: int,
        size: int,
    ) -> None:
        self.loss, self._weights, self._optimizer = loss, weights, rates.optimizer
        self._last = rates.steps - rates.length
        self._first = min(burn_in, self._last)
        self._runs: list[InnerRun | None] = [None] * size
        self._taken = 0

    def take(self, start: Callable[[Theta, int], InnerRun], rng: np.random.Generator) -> InnerRun:
        """The run whose window is next; `start` trains new weights for some steps on the present summary."""
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
            tensors = (*run.theta.values(), *run.state.slots)
            finite = all(bool(value.isfinite().all()) for value in tensors)
            self._runs[self._taken] = run if finite else None

    def clear(self) -> None:
        """Drop all runs; new ones take their places."""
        self._runs = [None] * len(self._runs)

    def state_dict(self) -> list[Any]:
        """Parameters, optimizer's slots and steps, and start of each run; None for an empty place."""
        return [run and [run.theta, run.state.slots, run.state.step, run.started_at] for run in self._runs]

    def load_state_dict(self, state: list[Any]) -> None:
        """Continue from `state_dict()`; ValueError where it is that of other runs."""
        like = self._weights(np.random.default_rng(0))
        slots = self._optimizer.init(torch.cat([value.reshape(-1) for value in like.values()])).slots
        for run in filter(None, state):
            check_like(run, [like, slots, 0, 0], "an inner run")
        self._runs = [run and InnerRun(run[0], State(run[2], tuple(run[1])), run[3]) for run in state]


TRACED, COMPILED = 30.0, 200.0
"""Seconds of eager steps from which on tracing, some 3 seconds once, and compiling, some 30, are repaid."""
SPEED = 5e10
"""Floating-point operations per second that are counted on; of two cores. A guess must do: a measured speed
would let an interrupted run go on otherwise than it began."""

EXECUTIONS: dict[str, Callable[[], Execution]] = {
    "eager": Eager,
    "graph": partial(Compiled, compiler=interpreter),
    "compiled": Compiled,
}
"""By the names that a recipe uses."""


def chosen_execution(recipe: Recipe, student: SequenceModel) -> tuple[str, str]:
    """How the inner loop's derivatives are carried out, one of `EXECUTIONS`, and why."""
    outer, sequences = recipe.outer, recipe.summary.sequences
    if outer.execution != "auto":
        return outer.execution, "the recipe says so"
    if outer.minutes is not None:
        seconds = 60 * outer.minutes
    else:
        events = min(sequences, recipe.inner.batch or sequences) * recipe.summary.length
        parameters = sum(value.numel() for value in student.parameters())
        gradient = 2 * 3 * 2 * events * parameters  # products forward and back, the tables twice: in and out
        seconds = outer.steps * outer.replicas * outer.window * 5 * gradient / SPEED
    eager = f"some {seconds:.0f} s of eager steps"
    if seconds < TRACED:
        return "eager", f"{eager} do not repay tracing, from {TRACED:.0f} s on"
    if seconds < COMPILED:
        return "graph", f"{eager} repay tracing, not compiling, from {COMPILED:.0f} s on"
    return "compiled", f"{eager} repay compiling"
