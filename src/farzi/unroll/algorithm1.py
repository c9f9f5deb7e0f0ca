r"""Adam run backwards: the reverse pass of *Farzi Data* (arXiv 2310.09983, Algorithm 1).

No step is stored. From t = T down to 1, with α' = α √(1−β2^t) / (1−β1^t), ε' = ε √(1−β2^t) and
β' = (1−β2) / (1−β1),

1. θ, m and v of step t − 1 are recovered from those of step t: θ ← θ + α' m / (√v + ε'), g = ∇θ L(θ),
   m ← (m − (1−β1) g) / β1, v ← (v − (1−β2) g²) / β2;
2. dm ← dm + α' (β' m g / (√v (√v + ε')²) − 1 / (√v + ε')) dθ, with the m and v of step t;
3. dθ ← dθ + (1−β1) Hθθ dm and dX ← dX + (1−β1) HXθ dm;
4. dm ← β1 dm.

Both halves are flawed. Line 1 divides the error in m by β1 at each step. The error grows like β1^−T or
faster, since a wrong θ gives a wrong g. And no cotangent of v is accumulated: the effect of g on later steps
through v is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from farzi.unroll.adjoint import Adjoint
from farzi.unroll.execution import Execution
from farzi.unroll.memory import HERE, Cost, Memory, Place, Replay, Tape
from farzi.unroll.optimizers import Adam, Optimizer, PulledBack, State, Step


@dataclass(frozen=True)
class Algorithm1(Adjoint, Memory):
    """The paper's adjoint, for comparison: store only the last step and run Adam backwards.

    Do not train with it: its gradients are inexact for two or more steps, and in float32 they are useless
    after a few dozen steps. Hyper-parameters get no gradient.

    It is its own memory strategy, which stores 2 + k vectors (P,) for k slots and recomputes each step once.

    Attributes:
        dtype: the dtype of parameters and state, forward and back; theta0's if None. The loss and its
            derivatives stay in the dtype of theta0, to which the parameters are rounded at each call.

    Raises:
        TypeError: by `check` and `tape`: the optimizer is not Adam.
        ValueError: by `check` and `tape`: Adam has weight decay, a β of 0 or hyper-parameters that require a
            gradient.
    """

    dtype: torch.dtype | None = None

    def __post_init__(self) -> None:
        if self.dtype is not None and not self.dtype.is_floating_point:
            raise TypeError(f"Algorithm1({self.dtype}): the dtype must be floating point")

    def strategy(self) -> Memory:
        return self

    def check(self, optimizer: Optimizer) -> None:
        if type(optimizer) is not Adam:
            raise TypeError(
                f"Algorithm1() runs Adam backwards and no other optimizer, got {type(optimizer).__name__}"
            )
        if torch.as_tensor(optimizer.weight_decay).any():
            raise ValueError("Algorithm1() runs Adam backwards without weight decay; set weight_decay to 0")
        for name in ("beta1", "beta2"):
            if not torch.as_tensor(getattr(optimizer, name)).all():
                raise ValueError(f"Algorithm1() divides by {name}, which is 0: the state cannot be recovered")
        for name, value in optimizer.hypers():
            if value.requires_grad:
                raise ValueError(
                    f"Algorithm1() gives no gradient of hyper-parameters, but {name} requires one"
                )

    def exact(self) -> bool:
        return False

    def precision(self, dtype: torch.dtype) -> torch.dtype:
        return dtype if self.dtype is None else self.dtype

    def tape(self, steps: int, replay: Replay, place: Place = HERE) -> Tape:
        self.check(replay.optimizer)
        return _Backwards(steps, replay, place)

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        if steps == 0:
            return Cost()
        bare = steps if intermediates else 0
        return Cost(device=(2 + slots) * parameters, gradients=steps - 1, updates=steps - 1, bare=bare)

    def pull_back(
        self, execution: Execution, optimizer: Optimizer, step: Step, after: Sequence[Tensor]
    ) -> PulledBack:
        """Lines 2 and 4, with dθ as θ̄ and dm as m̄; line 3 multiplies ḡ."""
        theta_bar, mean_bar, _ = after
        adam = _values(optimizer, step.state.step)
        _, (t, (mean, square)) = adam.update(step.gradient, step.state, step.theta)
        root, scale = square.sqrt(), (1 - adam.beta2**t) ** 0.5
        rate, epsilon = adam.learning_rate * scale / (1 - adam.beta1**t), adam.epsilon * scale
        beta = (1 - adam.beta2) / (1 - adam.beta1)
        # the root is 0 where every gradient so far was 0, and there m g is 0 as well
        through_v = torch.where(root > 0, beta * mean * step.gradient / (root * (root + epsilon) ** 2), 0.0)
        dm = mean_bar + rate * (through_v - 1 / (root + epsilon)) * theta_bar
        return PulledBack(
            gradient=(1 - adam.beta1) * dm,
            theta=theta_bar,
            slots=[adam.beta1 * dm, torch.zeros_like(square)],
            hypers=[torch.zeros_like(value) for _, value in optimizer.hypers()],
        )


@dataclass
class _Backwards(Tape):
    steps: int
    replay: Replay
    place: Place
    last: Step | None = None
    after: tuple[Tensor, State] | None = None  # parameters and state of the step popped last

    def put(self, index: int, step: Step) -> None:
        if index == self.steps - 1:
            self.last = step.map(self.place.keep)

    def pop(self, index: int) -> Step:
        if self.last is not None:
            step, self.last = self.last.map(self.place.fetch), None
        else:
            assert self.after is not None
            theta, state = self.after
            step = self._recovered(index, self.place.fetch(theta), state.map(self.place.fetch))
        self.after = (self.place.keep(step.theta), step.state.map(self.place.keep)) if index > 0 else None
        return step

    def _recovered(self, index: int, theta: Tensor, state: State) -> Step:
        """Step `index` from the parameters and the state after it: line 1."""
        t, (mean, square) = state
        adam = _values(self.replay.optimizer, t - 1)
        root = square.sqrt() / (1 - adam.beta2**t) ** 0.5
        theta = theta + adam.learning_rate / (1 - adam.beta1**t) * mean / (root + adam.epsilon)
        gradient, _ = self.replay.forward(index, theta)
        mean = (mean - (1 - adam.beta1) * gradient) / adam.beta1
        square = (square - (1 - adam.beta2) * gradient * gradient) / adam.beta2
        # only rounding makes v negative, as it does where every gradient before was 0
        return Step(theta, State(t - 1, (mean, square.clamp(min=0))), gradient)


def _values(optimizer: Optimizer, step: int) -> Adam:
    """Adam with the values that its hyper-parameters have at one step."""
    assert isinstance(optimizer, Adam)
    schedules = {name: value[step] for name, value in optimizer.hypers() if value.ndim == 1}
    return optimizer.with_hypers(schedules)
