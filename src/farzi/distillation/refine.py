"""The outer loop: steps that change the summary, one metagradient each.

An outer step takes an inner run in progress, differentiates a truncation window of its training on the
summary (`farzi.unroll`), and moves the summary with Adam. All random draws of a step come from generators
seeded by (seed, purpose, step): the result depends on the state before the step and on nothing else, so a
resumed run repeats an uninterrupted one bit for bit.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from farzi import unroll as engine
from farzi.data import Data, crops
from farzi.distillation.clip import RunningClip
from farzi.distillation.inner import (
    EXECUTIONS,
    InnerRun,
    Rates,
    RunPool,
    Theta,
    chosen_execution,
)
from farzi.errors import FarziError
from farzi.models import SequenceModel
from farzi.processes import current
from farzi.progress import StepReport
from farzi.recipe import Recipe
from farzi.recipe.variants import StudentVariant
from farzi.states import check_like
from farzi.summary import (
    SOFT_INPUTS,
    BatchSchedule,
    Ensemble,
    Parametrization,
    SummaryTensors,
    chosen_soft_inputs,
)
from farzi.training import NextEvent, make_model
from farzi.unroll import Adam, Optimizer, State
from farzi.unroll.trees import TreeLoss

OuterLoss = Callable[[NextEvent, Theta, Tensor], Tensor]
"""loss(model_loss, theta, windows): of trained parameters, on real windows (batch, length + 1)."""
Draw = Callable[[np.random.Generator], Tensor]
"""draw(rng): what an outer loss gets as its windows."""


class Episode(NamedTuple):
    """What an outer step differentiates: some steps of a training on the summary, and a loss of their end."""

    inner: TreeLoss  # inner(theta, data, batch): the training loss
    begin: InnerRun  # the run before the first of these steps
    optimizer: Optimizer  # takes the steps
    batches: Sequence[Any] | Tensor  # what each of them reads
    outer: Callable[[Theta], Tensor]  # outer(theta): the loss of the parameters after the last step
    finish: Callable[[InnerRun], None] | None = None  # called with the run at its end, if something continues


class Objective(Protocol):
    """A loss of where training on the summary leads. Objectives have no state: the outer loop has.

    One that has an attribute `trajectories`, a number above 0, gets the weights recorded along that many
    full-data trainings of the student, in `OuterLoop.trajectories`; one that has a true `taught` gets the
    models trained on the full data, in `OuterLoop.teachers`. A method `check(recipe)`, where there is
    one, raises FarziError if other parts of the recipe do not fit; it is called before anything is trained.
    """

    @property
    def name(self) -> str: ...  # what the loss is called in history.jsonl

    def episode(self, loop: "OuterLoop", step: int, replica: int = 0) -> Episode:
        """What outer step `step` differentiates; the same however often it is called before that step.

        Args:
            loop: the outer loop.
            step: the number of the outer step.
            replica: which of the inner runs, below `outer.replicas`. The metagradients of all of them are
                averaged.
        """
        ...


@dataclass(frozen=True)
class RealLoss:
    """The loss on real windows after the last steps of a training on the summary (arXiv 2310.09983).

    An objective that differs only in the loss of the trained parameters is a class like this one: it hands
    another function to `OuterLoop.truncated`.
    """

    name = "real_loss"

    def episode(self, loop: "OuterLoop", step: int, replica: int = 0) -> Episode:
        return loop.truncated(step, replica, lambda loss, theta, windows: loss.at(theta, windows))


class OuterLoop:
    """The state of the outer loop, and the step that changes it.

    Args:
        recipe: the whole run.
        data: the log or text.
        initial: the initial summary; everything is computed on its device.
        trajectories: weights along full-data trainings, if the objective or the weights want them.
        teachers: models trained on the full data, if the objective is `taught`. Where it is and none are
            given, an untrained model stands in.

    Raises:
        FarziError: parts of the recipe do not fit each other.

    Attributes:
        step: outer steps taken.
        summary: the summary as it is now.
        averaged: the running mean of it over outer steps, which is validated and kept; itself without
            `outer.average`.
        objective: what is minimised.
        pools: the inner runs of each kind of student, the recipe's own first, by replica.
        rates: learning rates and lengths of inner runs.
        trajectories, teachers: see above.
        log: the training sequences.
        device: where everything is computed.
        processes: share the replicas: the inner runs of each are in the process that computes it.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: Data,
        initial: SummaryTensors,
        trajectories: Sequence[Sequence[Theta]] = (),
        teachers: Sequence[SequenceModel] = (),
    ) -> None:
        self.recipe, self.step, self.log, self.processes = recipe, 0, data.train, current()
        self._temperature, self.device = initial.temperature, initial.device
        self.trajectories = [
            [{name: value.to(self.device) for name, value in theta.items()} for theta in trajectory]
            for trajectory in trajectories
        ]
        self.objective: Objective = recipe.outer.objective.build()
        self.teachers: Ensemble | None = None
        if getattr(self.objective, "taught", False):
            vocabulary = len(data.vocabulary)
            models = teachers or [make_model(recipe.full_model, vocabulary, recipe.full_length, recipe.seed)]
            self.teachers = Ensemble(tuple(models))
        self.parametrization: Parametrization = recipe.summary.parametrization.build()
        self.rates = Rates.of(recipe.inner, recipe.outer.window)
        students = (recipe.student, *recipe.outer.students)
        self.pools = [self._pools(student, len(data.vocabulary)) for student in students]
        self.adjoint = recipe.outer.adjoint.build()
        self.execution = EXECUTIONS[chosen_execution(recipe, self.pools[0][0].loss.student)[0]]()
        self.soft_inputs = SOFT_INPUTS[chosen_soft_inputs(recipe.inner, initial)[0]]
        self.clip = RunningClip(recipe.outer.clip)
        self._made: dict[str, Any] = {}
        self._parts = self.parametrization.parts(initial)
        self.summary = self._summary_of(self._parts)
        self._mean = self._parts
        self._adam = Adam(0.0).init(self._flat())

    def take_step(self, rate: float) -> StepReport:
        """One metagradient, the mean of those of the replicas, and one step of Adam with this learning rate.

        They are added one after the other in float64: the sum is the same wherever each was computed.
        """
        found = self.processes.map(self._metagradient, range(self.recipe.outer.replicas))
        total = torch.zeros_like(found[0][1], dtype=torch.float64)
        for _, one in found:
            total += one
        mean = (total / len(found)).to(found[0][1].dtype)
        gradient, norm = self.clip(mean)
        flat, self._adam = Adam(rate).update(gradient, self._adam, self._flat())
        pieces = flat.split([part.numel() for part in self._parts.values()])
        self._parts = {
            name: piece.view(part.shape)
            for (name, part), piece in zip(self._parts.items(), pieces, strict=True)
        }
        self.summary = self._summary_of(self._parts)
        decay = self.recipe.outer.average
        self._mean = {
            name: part if decay == 0 else self._mean[name].lerp(part, 1 - decay)
            for name, part in self._parts.items()
        }
        self.step += 1
        return StepReport(fmean(loss for loss, _ in found), norm, self.objective.name)

    def _metagradient(self, replica: int) -> tuple[float, Tensor]:
        """The loss of a replica in the next step, and its metagradient (numbers of the summary's parts,)."""
        episode = self.objective.episode(self, self.step, replica)
        parts = {name: part.detach().requires_grad_() for name, part in self._parts.items()}
        end = engine.unroll_with_state(
            episode.inner,
            episode.begin.theta,
            self.soft_inputs(self._summary_of(parts)),
            episode.optimizer,
            episode.batches,
            self.adjoint,
            state=episode.begin.optimizer_state,
            execution=self.execution,
        )
        loss = episode.outer(end.theta)
        try:
            bars = torch.autograd.grad(loss, list(parts.values()))
        except engine.RepeatError as error:  # a user's model
            raise FarziError(f"student {self.recipe.student.type}: {error}") from None
        if episode.finish is not None:
            theta = {name: value.detach() for name, value in end.theta.items()}
            episode.finish(InnerRun(theta, end.state, episode.begin.started_at))
        return float(loss.detach()), torch.cat([bar.reshape(-1) for bar in bars])

    @property
    def averaged(self) -> SummaryTensors:
        """See above."""
        return self._summary_of(self._mean)

    # What objectives are made of.

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` returned when it was first asked for under a name."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def truncated(self, step: int, replica: int, outer: OuterLoss, draw: Draw | None = None) -> Episode:
        """Truncated back-propagation: a window of an inner run, and a loss on real events after it."""
        pool, run, windows = self.draw(step, replica, draw)
        loss, rates = pool.loss, self.rates_of(run.started_at)
        optimizer = rates.until(run.state.step + rates.length)
        ahead = rates.length - rates.window
        begin = self.advance(loss, run, optimizer, ahead) if ahead else run

        def finish(end: InnerRun) -> None:
            pool.put(self.advance(loss, run, rates.until(), rates.window) if rates.annealed else end)

        return Episode(
            loss.at,
            begin,
            optimizer,
            self.batches(begin.started_at, begin.state.step, rates.window),
            lambda theta: outer(loss, theta, windows),
            finish if self.recipe.outer.pool else None,
        )

    def draw(self, step: int, replica: int = 0, draw: Draw | None = None) -> tuple[RunPool, InnerRun, Tensor]:
        """The runs of the student whose turn it is, one of them, and what `draw` draws.

        If left out, that is real windows (batch, length + 1). The replicas of a step are equally far, and
        read the same windows.
        """
        rng = np.random.default_rng([self.recipe.seed, 1, step])
        pool = self.pools[int(rng.integers(len(self.pools))) if len(self.pools) > 1 else 0][replica]

        def start(theta: Theta, steps: int) -> InnerRun:
            new = InnerRun(theta, State(0, ()), step)
            return self.advance(pool.loss, new, self.rates_of(step).until(), steps)

        run = pool.take(start, rng)
        if draw is not None:
            return pool, run, draw(rng)
        windows = crops(self.log, self.width, self.recipe.outer.batch, rng)
        return pool, run, torch.from_numpy(windows).to(self.device)

    @property
    def width(self) -> int:
        """Events in a real window: what a model reads once it is trained, and the last one's next event."""
        return max(self.recipe.summary.length - 1, self.recipe.inner.history or 0) + 1

    def advance(self, loss: NextEvent, run: InnerRun, optimizer: Optimizer, steps: int) -> InnerRun:
        """The same run some steps later, nothing differentiated."""
        end = engine.train(
            loss.at,
            run.theta,
            self.soft_inputs(self.summary),
            optimizer,
            self.batches(run.started_at, run.state.step, steps),
            state=run.optimizer_state,
            execution=self.execution,
        )
        return InnerRun(end.theta, end.state, run.started_at)

    def batches(self, started_at: int, first: int, steps: int) -> Sequence[None] | Tensor:
        """Which synthetic sequences a run that started at an outer step reads in some of its steps."""
        seed = int(np.random.default_rng([self.recipe.seed, 4, started_at]).integers(2**62))
        schedule = BatchSchedule(self.summary.sequences, self.recipe.inner.batch, seed, self.device)
        return schedule.batches(first, steps)

    def rates_of(self, started_at: int) -> Rates:
        """The learning rates of a run; with `outer.rate_range` its own ones, uniform in their logarithm."""
        limit = self.recipe.outer.rate_range
        if limit == 1:
            return self.rates
        exponent = np.random.default_rng([self.recipe.seed, 6, started_at]).uniform(-1, 1)
        return self.rates.scaled(limit**exponent)

    # State, and the next step as a problem of its own.

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to continue later: nested dicts and lists of tensors and JSON values.

        All processes call it; the first one gets the inner runs of all of them.
        """

        def runs_of(replica: int) -> list[Any]:
            return [pools[replica].state_dict() for pools in self.pools]

        return {
            "step": self.step,
            **self.moment(),
            "runs": self.processes.map(runs_of, range(self.recipe.outer.replicas), everywhere=False),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`; ValueError where it is that of another loop."""
        check_like(state, self.state_dict(), "the outer loop")
        self.step, self.clip.mean = state["step"], state["clip_mean"]
        self._parts, self._mean = (
            {name: state[kind][name] for name in self._parts} for kind in ("parts", "mean")
        )
        self.summary = self._summary_of(self._parts)
        self._adam = State(self.step, tuple(state["adam"]))
        for replica in self.processes.own(len(state["runs"])):
            for pools, runs in zip(self.pools, state["runs"][replica], strict=True):
                pools[replica].load_state_dict(runs)

    def moment(self) -> dict[str, Any]:
        """What outer steps have made so far, for `return_to`. Nothing is copied: no step writes to it."""
        slots = self._adam.slots
        return {"parts": self._parts, "mean": self._mean, "adam": slots, "clip_mean": self.clip.mean}

    def return_to(self, moment: dict[str, Any]) -> None:
        """Take back what `moment` gave. The number of steps stays, and inner runs start afresh."""
        self._parts, self._mean, self.clip.mean = moment["parts"], moment["mean"], moment["clip_mean"]
        self.summary = self._summary_of(self._parts)
        self._adam = State(self.step, tuple(moment["adam"]))
        for pool in (one for pools in self.pools for one in pools):
            pool.clear()

    def as_run(self) -> dict[str, Any]:
        """The next step's metagradient as arguments of `farzi.unroll.check`; nothing changes."""
        episode = self.objective.episode(self, self.step)
        return {
            "loss": episode.inner,
            "outer": episode.outer,
            "theta0": episode.begin.theta,
            "data": dict(self._parts),
            "optimizer": episode.optimizer,
            "batches": episode.batches,
            "memory": self.adjoint,
            "state": episode.begin.optimizer_state,
            "view": lambda parts: self.soft_inputs(self._summary_of(parts)),
            "execution": self.execution,
        }

    def _pools(self, student: StudentVariant, vocabulary: int) -> list[RunPool]:
        recipe, length = self.recipe, self.recipe.summary.length
        loss = NextEvent(make_model(student, vocabulary, length, recipe.seed, self.device))
        draw, count = recipe.outer.weights.build(), recipe.outer.replicas
        recorded = [theta for trajectory in self.trajectories for theta in trajectory]

        def fresh(rng: np.random.Generator) -> Theta:
            seed = int(rng.integers(2**62))
            return loss.parameters_of(make_model(student, vocabulary, length, seed, self.device))

        def weights(replica: int, rng: np.random.Generator) -> Theta:
            theta: Theta = {}
            for one in range(count):  # all are drawn: whatever is drawn next is the same for all replicas
                drawn = draw(rng, fresh, recorded)
                theta = drawn if one == replica else theta
            return theta

        own = (self.rates, recipe.outer.burn_in, recipe.outer.pool)
        return [RunPool(loss, partial(weights, replica), *own) for replica in range(count)]

    def _summary_of(self, parts: dict[str, Tensor]) -> SummaryTensors:
        return self.parametrization.summary(parts, self._temperature)

    def _flat(self) -> Tensor:
        return torch.cat([part.reshape(-1) for part in self._parts.values()])


def cosine_decay(fraction: float, floor: float = 0.02) -> float:
    """The outer learning rate's factor after a fraction of the run: from 1 down to `floor`."""
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))
