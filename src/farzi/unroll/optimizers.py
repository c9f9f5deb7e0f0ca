r"""Optimizers as pure functions of (gradient, state, parameters, hyper-parameters).

Each optimizer is a frozen value. `init(theta)` gives the state before the first step, and
`update(gradient, state, theta)` the parameters and the state after a step. Nothing is changed in place, so
the engine can pull a cotangent back through `update` with an ordinary vector-Jacobian product. Parameters,
gradient and slots are flat vectors (P,).

A hyper-parameter is a number, a tensor of shape (), or a tensor of shape (T,) with one value per step. Steps
are counted by the state's `step`, so a run that continues from a state also continues in the schedule.
Tensors that require a gradient get one. `pull_back_update` is the vector-Jacobian product of an update.

An optimizer of your own is a frozen dataclass that derives from `Optimizer` and defines `slots` and `update`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor

Hyper = float | Tensor
Hypers = Mapping[str, Tensor]
"""Hyper-parameters that are tensors, by name."""
Count = int | Tensor
"""A number of steps; a tensor () while an update is traced, so that one graph serves all steps."""


class State(NamedTuple):
    """The memory of an optimizer between steps."""

    step: int  # number of steps already taken
    slots: tuple[Tensor, ...]  # the optimizer's running averages, each (P,)

    def map(self, function: Callable[[Tensor], Tensor]) -> "State":
        """The state with `function` applied to each slot."""
        return State(self.step, tuple(map(function, self.slots)))


class Step(NamedTuple):
    """The inputs of an update, which is all that the reverse step needs of the forward one."""

    theta: Tensor  # parameters before the step, (P,)
    state: State  # optimizer state before the step
    gradient: Tensor  # the loss's gradient at `theta`, (P,)
    intermediates: tuple[Tensor, ...] = ()  # tensors of the gradient's computation, if they were stored

    def map(self, function: Callable[[Tensor], Tensor]) -> "Step":
        """The step with `function` applied to each tensor."""
        kept = tuple(map(function, self.intermediates))
        return Step(function(self.theta), self.state.map(function), function(self.gradient), kept)


After = tuple[Tensor, State]
"""The parameters (P,) and the state after a step."""


class PulledBack(NamedTuple):
    """Cotangents of the inputs of an update."""

    gradient: Tensor  # ḡ, (P,)
    theta: Tensor  # θ̄, (P,)
    slots: list[Tensor]  # s̄, each (P,)
    hypers: list[Tensor]  # η̄, one for each hyper-parameter that is a tensor, of its shape


@dataclass(frozen=True)
class Optimizer(ABC):
    """Base of all optimizers: a value whose fields are its hyper-parameters."""

    slots: ClassVar[int]
    """Number of vectors (P,) that the state holds."""
    elementwise: ClassVar[bool] = True
    """Whether each number is updated alone, so that runs stacked as one (`farzi.unroll.stack`) stay apart."""

    def init(self, theta: Tensor) -> State:
        """The state before the first step for parameters (P,): all slots zero."""
        return State(0, tuple(torch.zeros_like(theta) for _ in range(self.slots)))

    @abstractmethod
    def update(self, gradient: Tensor, state: State, theta: Tensor) -> After:
        """One step, out of place."""

    def on(self, shapes: tuple[torch.Size, ...]) -> Self:
        """The same optimizer for parameters whose leaves have these shapes, in their order in (P,).

        A run calls it before anything else. Optimizers that treat each number alone need no shapes.
        """
        return self

    def hypers(self) -> Iterator[tuple[str, Tensor]]:
        """The hyper-parameters that are tensors, by name."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                yield field.name, value

    def check_hypers(self, steps: int) -> None:
        """Refuse tensors that cannot serve as hyper-parameters of the first `steps` steps.

        Raises:
            TypeError: a tensor is not floating point.
            ValueError: it is neither a single value nor a schedule of at least `steps` values.
        """
        for name, value in self.hypers():
            if not value.is_floating_point():
                raise TypeError(f"{name} must be floating point, got {value.dtype}")
            if value.ndim > 1 or (value.ndim == 1 and len(value) < steps):
                raise ValueError(
                    f"{name} must have shape () or a value for each of the {steps} steps since the state was "
                    f"fresh, got shape {tuple(value.shape)}"
                )

    def with_hypers(self, values: Hypers) -> Self:
        """The same optimizer with other values for the hyper-parameters in `values`."""
        return replace(self, **values)

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """The same optimizer with `function` applied to its hyper-parameters that are tensors."""
        return self.with_hypers({name: function(value) for name, value in self.hypers()})


def pull_back_update(optimizer: Optimizer, step: Step, after: Sequence[Tensor]) -> PulledBack:
    """Pull cotangents back through one update, exactly.

    Args:
        optimizer: the optimizer.
        step: the inputs of the update.
        after: θ̄' and s̄', the cotangents of the parameters and of the slots after it, each (P,).
    """
    with torch.enable_grad():
        g = step.gradient.detach().requires_grad_()
        theta = step.theta.detach().requires_grad_()
        state = step.state.map(lambda slot: slot.detach().requires_grad_())
        optimizer = optimizer.map(lambda value: value.detach().requires_grad_())
        theta_next, state_next = optimizer.update(g, state, theta)
        outputs = zip([theta_next, *state_next.slots], after, strict=True)
        moving = [(output, bar) for output, bar in outputs if output.requires_grad]  # a slot may be constant
        bars = torch.autograd.grad(
            [output for output, _ in moving],
            [g, theta, *state.slots, *(value for _, value in optimizer.hypers())],
            [bar for _, bar in moving],
            materialize_grads=True,
        )
    count = 2 + len(state.slots)
    return PulledBack(bars[0], bars[1], list(bars[2:count]), list(bars[count:]))


def at(hyper: Hyper, step: Count) -> Hyper:
    """The value of a hyper-parameter at a step: an entry of a schedule (T,), or the one value for all."""
    if not isinstance(hyper, Tensor) or hyper.ndim == 0:
        return hyper
    return hyper.index_select(0, step.reshape(1)).reshape(()) if isinstance(step, Tensor) else hyper[step]


def _power(base: Hyper, exponent: Count) -> Hyper:
    """base^exponent; in double precision for numbers, since 1 − β^t loses most of its digits in single."""
    return base ** (exponent.double() if isinstance(exponent, Tensor) else exponent)


def _share(steps: Count) -> Hyper:
    """1 / steps, in double precision."""
    return 1 / (steps.double() if isinstance(steps, Tensor) else steps)


def sqrt(square: Tensor) -> Tensor:
    """√x with derivative 0 at x = 0, where every gradient so far was 0.

    N / (√x + ε), with N a linear combination of those gradients, has the derivative dN / ε there: that of the
    root is multiplied by N = 0. Plain √ would give 0 · ∞.
    """
    positive = square > 0
    return torch.where(positive, torch.where(positive, square, 1.0).sqrt(), 0.0)


@dataclass(frozen=True)
class SGD(Optimizer):
    """θ ← θ − α (g + λ θ)."""

    learning_rate: Hyper = 0.1
    weight_decay: Hyper = 0.0

    slots: ClassVar[int] = 0

    def update(self, gradient: Tensor, state: State, theta: Tensor) -> After:
        t = state.step
        gradient = gradient + at(self.weight_decay, t) * theta
        return theta - at(self.learning_rate, t) * gradient, State(t + 1, ())


@dataclass(frozen=True)
class Momentum(Optimizer):
    """Heavy ball: b ← μ b + g + λ θ;  θ ← θ − α b  (as `torch.optim.SGD(momentum=μ)`)."""

    learning_rate: Hyper = 0.1
    momentum: Hyper = 0.9
    weight_decay: Hyper = 0.0

    slots: ClassVar[int] = 1

    def update(self, gradient: Tensor, state: State, theta: Tensor) -> After:
        t, (buffer,) = state
        gradient = gradient + at(self.weight_decay, t) * theta
        buffer = at(self.momentum, t) * buffer + gradient
        return theta - at(self.learning_rate, t) * buffer, State(t + 1, (buffer,))


@dataclass(frozen=True)
class _Adaptive(Optimizer):
    """What optimizers have in common that divide by the root of a running mean of squares."""

    learning_rate: Hyper = 1e-3
    beta1: Hyper = 0.9
    beta2: Hyper = 0.999
    epsilon: Hyper = 1e-8

    slots: ClassVar[int] = 2

    def _step(self, gradient: Tensor, state: State, theta: Tensor) -> After:
        """The step without weight decay."""
        t, (mean, square) = state
        beta1 = at(self.beta1, t)
        mean = beta1 * mean + (1 - beta1) * gradient
        square, root = self._squares(gradient, square, t)
        size = at(self.learning_rate, t) / (1 - _power(beta1, t + 1))
        theta = theta - size * mean / (root + at(self.epsilon, t))
        return theta, State(t + 1, (mean, square))

    def _squares(self, gradient: Tensor, square: Tensor, t: Count) -> tuple[Tensor, Tensor]:
        """V after step t, counted from 0, and √v̂."""
        beta2 = at(self.beta2, t)
        square = beta2 * square + (1 - beta2) * gradient * gradient
        return square, sqrt(square) / (1 - _power(beta2, t + 1)) ** 0.5


@dataclass(frozen=True)
class Adam(_Adaptive):
    r"""Adam: m ← β1 m + (1−β1) g;  v ← β2 v + (1−β2) g²;  θ ← θ − α m̂ / (√v̂ + ε).

    m̂ = m / (1−β1^t), v̂ = v / (1−β2^t). Weight decay is the L2 kind: g + λ θ replaces g
    (Kingma and Ba, arXiv 1412.6980; the same numbers as `torch.optim.Adam`).
    """

    weight_decay: Hyper = 0.0

    def update(self, gradient: Tensor, state: State, theta: Tensor) -> After:
        gradient = gradient + at(self.weight_decay, state.step) * theta
        return self._step(gradient, state, theta)


@dataclass(frozen=True)
class AdamW(_Adaptive):
    """Adam with decoupled weight decay: θ ← (1 − α λ) θ before the step.

    Loshchilov and Hutter, arXiv 1711.05101; the same numbers as `torch.optim.AdamW`.
    """

    weight_decay: Hyper = 0.01

    def update(self, gradient: Tensor, state: State, theta: Tensor) -> After:
        shrink = 1 - at(self.learning_rate, state.step) * at(self.weight_decay, state.step)
        return self._step(gradient, state, shrink * theta)


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """s ← s + g²;  θ ← θ − α g / (√s + ε)  (as `torch.optim.Adagrad`), with g + λ θ instead of g."""

    learning_rate: Hyper = 0.01
    epsilon: Hyper = 1e-10
    weight_decay: Hyper = 0.0

    slots: ClassVar[int] = 1

    def update(self, gradient: Tensor, state: State, theta: Tensor) -> After:
        t, (total,) = state
        gradient = gradient + at(self.weight_decay, t) * theta
        total = total + gradient * gradient
        theta = theta - at(self.learning_rate, t) * gradient / (sqrt(total) + at(self.epsilon, t))
        return theta, State(t + 1, (total,))


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """v ← ρ v + (1−ρ) g²;  θ ← θ − α g / (√v + ε), with g + λ θ instead of g.

    ρ is `decay`; the same numbers as `torch.optim.RMSprop(alpha=ρ)`, uncentred and without momentum.
    """

    learning_rate: Hyper = 0.01
    decay: Hyper = 0.99
    epsilon: Hyper = 1e-8
    weight_decay: Hyper = 0.0

    slots: ClassVar[int] = 1

    def update(self, gradient: Tensor, state: State, theta: Tensor) -> After:
        t, (square,) = state
        gradient = gradient + at(self.weight_decay, t) * theta
        decay = at(self.decay, t)
        square = decay * square + (1 - decay) * gradient * gradient
        theta = theta - at(self.learning_rate, t) * gradient / (sqrt(square) + at(self.epsilon, t))
        return theta, State(t + 1, (square,))


@dataclass(frozen=True)
class ScheduleFree(_Adaptive):
    """Schedule-free AdamW: the gradient is taken near the mean of all iterates, and no rate has to decay.

    With y the parameters, z the iterates and x their mean, in step t = 1, 2, ...

        v ← β2 v + (1−β2) g²;  z ← z − α (g / (√v̂ + ε) + λ y);
        x ← (1 − 1/t) x + z / t;  y ← (1 − β1) z + β1 x.

    The state holds z − y and v. Defazio et al. 2024, arXiv 2405.15682, Algorithm 1; y are the numbers of
    `schedulefree.AdamWScheduleFree` in training mode, at a constant rate without warm-up.
    """

    learning_rate: Hyper = 2.5e-3
    weight_decay: Hyper = 0.0

    def update(self, gradient: Tensor, state: State, theta: Tensor) -> After:
        t, (gap, square) = state
        square, root = self._squares(gradient, square, t)
        move = self.direction(gradient, root, t) + at(self.weight_decay, t) * theta
        move = at(self.learning_rate, t) * move
        # before the step z − x = gap / β1, and with it all that follows is linear in the gap
        later = (1 - _share(t + 1)) * (gap - at(self.beta1, t) * move)
        return theta + gap - move - later, State(t + 1, (later, square))

    def direction(self, gradient: Tensor, root: Tensor, t: Count) -> Tensor:
        """What z moves against, (P,), before the learning rate; `root` is √v̂."""
        return gradient / (root + at(self.epsilon, t))
