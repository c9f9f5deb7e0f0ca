"""The outer loop: steps that change the summary, one metagradient each.

An outer step takes an inner run in progress, differentiates a truncation window of its training on the
summary (`farzi.unroll`), and moves the summary with Adam. All random draws of a step come from generators
seeded by (seed, purpose, step): the result depends on the state before the step and on nothing else, so a
resumed run repeats an uninterrupted one bit for bit.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from farzi import unroll as engine
from farzi.data import Data, crops
from farzi.distillation.execution import EXECUTIONS, chosen_execution
from farzi.distillation.inner import InnerRun, Rates, Replicas, RunPool
from farzi.distillation.objectives import Episode, Objective
from farzi.distillation.weights import Theta
from farzi.errors import FarziError
from farzi.recipe import Recipe
from farzi.recipe.variants import StudentVariant
from farzi.summary import SOFT_INPUTS, BatchSchedule, Parametrization, SummaryTensors, chosen_soft_inputs
from farzi.training import NextEvent, make_model
from farzi.unroll import Adam, Optimizer, State

OuterLoss = Callable[[NextEvent, Theta, Tensor], Tensor]
"""loss(model_loss, theta, windows): of trained parameters, on real windows (batch, length + 1)."""


@dataclass(frozen=True)
class StepReport:
    """The figures of one outer step.

    Attributes:
        loss: the objective's, before the summary changed; for `RealLoss` cross-entropy in nats.
        norm: length of the metagradient before clipping; infinite where it was not finite.
        name: what the loss is called.
    """

    loss: float
    norm: float
    name: str


class RunningClip:
    """Shortens a metagradient to `factor` times the running mean of the norms.

    One outlier enters the mean with at most three times its value, so that it does not admit the next one.
    """

    def __init__(self, factor: float = 1.0, decay: float = 0.9) -> None:
        self.factor, self.decay = factor, decay
        self.mean: float | None = None

    def __call__(self, gradient: Tensor) -> tuple[Tensor, float]:
        """The clipped gradient and its norm before; zeros and infinity where it is not finite."""
        norm = float(gradient.norm())
        if not math.isfinite(norm):
            return gradient.new_zeros(gradient.shape), math.inf
        if not self.mean:  # no norm so far, or only zeros
            self.mean = norm
        else:
            self.mean = self.decay * self.mean + (1 - self.decay) * min(norm, 3 * self.mean)
        limit = self.factor * self.mean
        return (gradient * (limit / norm) if norm > limit else gradient), norm


class StudentRuns(NamedTuple):
    """The inner runs of one kind of student."""

    replicas: Replicas
    pool: RunPool


class OuterLoop:
    """The state of the outer loop, and the step that changes it.

    Args:
        recipe: the whole run.
        data: the log or text.
        initial: the initial summary; everything is computed on its device.
        trajectories: weights along full-data trainings, if the objective or the weights want them.
        train: trains without derivatives, as `farzi.unroll.train`; a plan counts steps instead.

    Raises:
        FarziError: parts of the recipe do not fit each other.

    Attributes:
        step: outer steps taken.
        summary: the summary as it is now.
        objective: what is minimised.
        students: the inner runs of each kind of student, the recipe's own first.
        rates: learning rates and lengths of inner runs.
        trajectories: see above.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: Data,
        initial: SummaryTensors,
        trajectories: Sequence[Sequence[Theta]] = (),
        train: Callable[..., engine.Trained] = engine.train,
    ) -> None:
        self.recipe, self.step = recipe, 0
        self._log, self._train = data.train, train
        self._temperature, self._device = initial.temperature, initial.device
        self.trajectories = [
            [{name: value.to(self._device) for name, value in theta.items()} for theta in trajectory]
            for trajectory in trajectories
        ]
        self.objective: Objective = recipe.outer.objective.build()
        self.parametrization: Parametrization = recipe.summary.parametrization.build()
        self.rates = Rates.of(recipe.inner, recipe.outer.window)
        self.students = [
            self._runs_of(student, len(data.vocabulary)) for student in kinds_of_students(recipe)
        ]
        model = self.students[0].replicas.loss.student
        self.adjoint = recipe.outer.adjoint.build()
        self.execution = EXECUTIONS[chosen_execution(recipe, model)[0]]()
        self.soft_inputs = SOFT_INPUTS[chosen_soft_inputs(recipe.inner, initial)[0]]
        self.clip = RunningClip(recipe.outer.clip)
        self._parts = self.parametrization.parts(initial)
        self.summary = self._summary_of(self._parts)
        self._adam = Adam(0.0).init(self._flat())

    def take_step(self, rate: float) -> StepReport:
        """One metagradient, one step of Adam with learning rate `rate`."""
        episode = self.objective.episode(self, self.step)
        parts = {name: part.detach().requires_grad_() for name, part in self._parts.items()}
        end = engine.unroll_with_state(
            episode.inner,
            episode.theta,
            self.soft_inputs(self._summary_of(parts)),
            episode.optimizer,
            episode.batches,
            self.adjoint,
            state=episode.state,
            execution=self.execution,
        )
        loss = episode.outer(end.theta)
        bars = torch.autograd.grad(loss, list(parts.values()))
        if episode.finish is not None:
            theta = {name: value.detach() for name, value in end.theta.items()}
            episode.finish(InnerRun(theta, end.state, episode.started_at))

        gradient, norm = self.clip(torch.cat([bar.reshape(-1) for bar in bars]))
        flat, self._adam = Adam(rate).update(gradient, self._adam, self._flat())
        pieces = flat.split([part.numel() for part in self._parts.values()])
        self._parts = {
            name: piece.view(part.shape)
            for (name, part), piece in zip(self._parts.items(), pieces, strict=True)
        }
        self.summary = self._summary_of(self._parts)
        self.step += 1
        return StepReport(float(loss.detach()), norm, self.objective.name)

    # What objectives are made of.

    def truncated(self, step: int, outer: OuterLoss) -> Episode:
        """Truncated back-propagation: a window of an inner run, and a loss on real events after it.

        Args:
            step: the outer step.
            outer: the loss of the trained parameters; with replicas, its mean over them.
        """
        students, run, windows = self.draw(step)
        replicas, rates = students.replicas, self.rates_of(run.started_at)
        optimizer = rates.ending(run.state.step)
        ahead = rates.length - rates.window
        begin = self.advance(replicas, run, optimizer, ahead) if ahead else run

        def finish(end: InnerRun) -> None:
            if rates.annealed:
                end = self.advance(replicas, run, rates.running, rates.window)
            students.pool.put(end)

        return Episode(
            replicas.inner,
            begin.theta,
            begin.state,
            begin.started_at,
            optimizer,
            self.batches(begin.started_at, begin.state.step, rates.window),
            lambda theta: replicas.mean(lambda one: outer(replicas.loss, one, windows), theta),
            finish,
        )

    def draw(self, step: int) -> tuple[StudentRuns, InnerRun, Tensor]:
        """The kind of student whose turn it is, its inner run, and real windows (batch, length + 1)."""
        rng = np.random.default_rng([self.recipe.seed, 1, step])
        turn = int(rng.integers(len(self.students))) if len(self.students) > 1 else 0
        students = self.students[turn]

        def start(theta: Theta, steps: int) -> InnerRun:
            new = InnerRun(theta, State(0, ()), step)
            return self.advance(students.replicas, new, self.rates_of(step).running, steps)

        run = students.pool.take(start, rng)
        model = students.replicas.loss.student
        windows = crops(self._log, model.length + 1, self.recipe.outer.batch, rng)
        return students, run, torch.from_numpy(windows).to(model.device)

    def advance(self, replicas: Replicas, run: InnerRun, optimizer: Optimizer, steps: int) -> InnerRun:
        """The same run some steps later, nothing differentiated."""
        taken, data = run.state.step, self.soft_inputs(self.summary)
        batches = self.batches(run.started_at, taken, steps)
        state = run.state if taken else None
        end = self._train(
            replicas.inner, run.theta, data, optimizer, batches, state=state, execution=self.execution
        )
        return InnerRun(end.theta, end.state, run.started_at)

    def batches(self, started_at: int, first: int, steps: int) -> Sequence[None] | Tensor:
        """Which synthetic sequences some steps of a run read.

        Args:
            started_at: the outer step at which the run started.
            first: steps of the run before these.
            steps: how many.
        """
        seed = int(np.random.default_rng([self.recipe.seed, 4, started_at]).integers(2**62))
        schedule = BatchSchedule(self.summary.sequences, self.recipe.inner.batch, seed, self._device)
        return schedule.batches(first, steps)

    def rates_of(self, started_at: int) -> Rates:
        """The learning rates of the run that started at an outer step.

        With `outer.rate_range` each run has a rate of its own, whose logarithm is uniform.
        """
        limit = self.recipe.outer.rate_range
        if limit == 1:
            return self.rates
        exponent = np.random.default_rng([self.recipe.seed, 6, started_at]).uniform(-1, 1)
        return self.rates.scaled(limit**exponent)

    # State, and the next step as a problem of its own.

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to continue later: nested dicts of tensors and JSON values."""
        mean, square = self._adam.slots
        return {
            "step": self.step,
            "parts": dict(self._parts),
            "adam": {"mean": mean, "square": square},
            "clip_mean": self.clip.mean,
            "runs": {str(k): students.pool.state_dict() for k, students in enumerate(self.students)},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict()`."""
        self.step, self.clip.mean = state["step"], state["clip_mean"]
        self._parts = {name: state["parts"][name] for name in self._parts}
        self.summary = self._summary_of(self._parts)
        self._adam = State(self.step, (state["adam"]["mean"], state["adam"]["square"]))
        for k, students in enumerate(self.students):
            students.pool.load_state_dict(state["runs"].get(str(k), {}))

    def as_run(self) -> dict[str, Any]:
        """The next step's metagradient as arguments of `farzi.unroll.check`; nothing changes."""
        episode = self.objective.episode(self, self.step)
        return {
            "loss": episode.inner,
            "outer": episode.outer,
            "theta0": episode.theta,
            "data": dict(self._parts),
            "optimizer": episode.optimizer,
            "batches": episode.batches,
            "memory": self.adjoint,
            "state": episode.state,
            "view": lambda parts: self.soft_inputs(self._summary_of(parts)),
            "execution": self.execution,
        }

    def _runs_of(self, student: StudentVariant, vocabulary: int) -> StudentRuns:
        recipe, length = self.recipe, self.recipe.summary.length
        loss = NextEvent(make_model(student, vocabulary, length, recipe.seed, self._device))
        replicas = Replicas(loss, recipe.outer.replicas)
        draw = recipe.outer.weights.build()
        recorded = [theta for trajectory in self.trajectories for theta in trajectory]

        def fresh(rng: np.random.Generator) -> Theta:
            seed = int(rng.integers(2**62))
            return loss.parameters_of(make_model(student, vocabulary, length, seed, self._device))

        def weights(rng: np.random.Generator) -> Theta:
            return replicas.join([draw(rng, fresh, recorded) for _ in range(replicas.count)])

        return StudentRuns(replicas, RunPool(weights, self.rates, recipe.outer.burn_in, recipe.outer.pool))

    def _summary_of(self, parts: dict[str, Tensor]) -> SummaryTensors:
        return self.parametrization.summary(parts, self._temperature)

    def _flat(self) -> Tensor:
        return torch.cat([part.reshape(-1) for part in self._parts.values()])


def cosine_decay(fraction: float, floor: float = 0.02) -> float:
    """The outer learning rate's factor after a fraction of the run: from 1 down to `floor`."""
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))


def check_parts(recipe: Recipe) -> None:
    """Refuse a recipe whose parts do not fit each other, before anything costly is done.

    Raises:
        FarziError: they do not.
    """
    rates = Rates.of(recipe.inner, recipe.outer.window)
    try:
        adjoint = recipe.outer.adjoint.build()
        if hasattr(adjoint, "check"):
            adjoint.check(rates.optimizer)
    except (TypeError, ValueError) as error:
        raise FarziError(f"outer.adjoint.type {recipe.outer.adjoint.type}: {error}") from None
    objective = recipe.outer.objective.build()
    if hasattr(objective, "check"):
        objective.check(recipe)
    if recipe.outer.rate_range > 1 and not hasattr(rates.optimizer, "learning_rate"):
        raise FarziError(
            f"outer.rate_range changes learning_rate, which {recipe.inner.optimizer.type} does not have; "
            "set it to 1"
        )
    parametrization: Parametrization = recipe.summary.parametrization.build()
    label_decoder = parametrization.label_decoder
    if recipe.init.type == "teacher" and not label_decoder:
        raise FarziError(
            "init.type teacher: gives soft labels, which need summary.parametrization.label_decoder"
        )
    if recipe.init.type == "teacher" and parametrization.dim < 2:
        raise FarziError("init.type teacher: needs summary.parametrization.dim of 2 or more, not 1")
    if recipe.inner.soft_inputs == "materialized" and label_decoder:
        raise FarziError("inner.soft_inputs materialized: with a label decoder they are always factored")
    if recipe.inner.soft_inputs == "factored" and recipe.summary.parametrization.type == "full_logits":
        raise FarziError("inner.soft_inputs factored: full logits have no factors")
    kinds_of_students(recipe)


def kinds_of_students(recipe: Recipe) -> list[StudentVariant]:
    """The students that the outer loop trains in turn, the recipe's own first.

    Raises:
        FarziError: one is named twice, or recorded weights are wanted for several.
    """
    if recipe.outer.students and getattr(recipe.outer.weights.build(), "trajectories", False):
        raise FarziError(
            f"outer.weights.type {recipe.outer.weights.type}: the recorded weights are of `student` alone; "
            "leave outer.students out"
        )
    students = [recipe.student, *recipe.outer.students]
    for k, student in enumerate(students):
        if student in students[:k]:
            named = "the student already" if student == recipe.student else "there twice"
            raise FarziError(f"outer.students: {student.type} is {named}; name each of the others once")
    return students
