r"""Adam run backwards: the reverse pass of *Farzi Data* (arXiv 2310.09983, Algorithm 1).

No step is kept. From t = T down to 1, with α' = α √(1−β2^t) / (1−β1^t), ε' = ε √(1−β2^t) and
β' = (1−β2) / (1−β1),

1. θ, m and v of step t − 1 are recovered from those of step t: θ ← θ + α' m / (√v + ε'), g = ∇θ L(θ),
   m ← (m − (1−β1) g) / β1, v ← (v − (1−β2) g²) / β2;
2. dm ← dm + α' (β' m g / (√v (√v + ε')²) − 1 / (√v + ε')) dθ, with the m and v of step t;
3. dθ ← dθ + (1−β1) Hθθ dm and dX ← dX + (1−β1) HXθ dm;
4. dm ← β1 dm.

Both halves have a fault. Line 1 divides the error in m by β1 each time: it grows like β1^−T, or worse, as a
wrong θ has a wrong g. And there is no accumulator for v: what g does to later steps through v is lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from farzi.unroll.memory.tape import HERE, Cost, Memory, Place, Replay, Tape
from farzi.unroll.optimizers import Adam, Optimizer, State
from farzi.unroll.update import PullBack, PulledBack, Step


@dataclass(frozen=True)
class Invert(Memory):
    """Keep nothing but the last step, and recover the others by running Adam backwards: Algorithm 1.

    It is there to be compared with, not to be used: its gradients are not exact for two or more steps, and in
    float32 they are useless after some tens of steps. Hyper-parameters get none.

    Precision is that of the parameters and of Adam's state, during training as well: a state that was rounded
    on the way forward is not recovered by a more precise way back. The loss and its derivatives keep the
    dtype of theta0, to which the parameters are rounded whenever the loss is called; the same happens on the
    way back, so that it sees the same numbers as long as the recovery holds. With a dtype other than theta0's
    the run therefore differs from that of other strategies by rounding.

    Attributes:
        dtype: the dtype in which parameters and state are kept and recovered; theta0's if left out.

    Raises:
        TypeError: by `tape`, where the optimizer is not Adam.
        ValueError: by `tape`, where Adam has weight decay, a β of 0 or a hyper-parameter that requires a
            gradient.
    """

    dtype: torch.dtype | None = None

    def __post_init__(self) -> None:
        if self.dtype is not None and not self.dtype.is_floating_point:
            raise TypeError(f"Invert({self.dtype}): the dtype must be floating point")

    def tape(self, steps: int, replay: Replay, place: Place = HERE) -> Tape:
        _check(replay.optimizer)
        return _Backwards(steps, replay, place)

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        if steps == 0:
            return Cost()
        bare = steps if intermediates else 0
        return Cost(device=(2 + slots) * parameters, gradients=steps - 1, updates=steps - 1, bare=bare)

    def precision(self, dtype: torch.dtype) -> torch.dtype:
        return dtype if self.dtype is None else self.dtype


def _check(optimizer: Optimizer) -> None:
    """Refuse all but the Adam of the paper."""
    if type(optimizer) is not Adam:
        raise TypeError(
            f"Invert() runs Adam backwards and no other optimizer, got {type(optimizer).__name__}"
        )
    if torch.as_tensor(optimizer.weight_decay).any():
        raise ValueError("Invert() runs Adam backwards without weight decay, got weight_decay other than 0")
    for name in ("beta1", "beta2"):
        if not torch.as_tensor(getattr(optimizer, name)).all():
            raise ValueError(
                f"Invert() divides by {name}, which is 0: nothing of the past is left to recover"
            )
    for name, value in optimizer.hypers():
        if value.requires_grad:
            raise ValueError(f"Invert() gives no gradient of hyper-parameters, but {name} requires one")


@dataclass
class _Backwards(Tape):
    steps: int
    replay: Replay
    place: Place
    last: Step | None = None
    after: tuple[Tensor, State] | None = None  # parameters and state of the step popped last

    def put(self, index: int, step: Step) -> None:
        if index == self.steps - 1:
            self.last = self.place.keep_step(step)

    def pop(self, index: int) -> Step:
        if self.last is not None:
            step, self.last = self.place.fetch_step(self.last), None
        else:
            assert self.after is not None
            theta, state = self.after
            step = self._recovered(index, self.place.fetch(theta), self.place.fetch_state(state))
        self.after = (self.place.keep(step.theta), self.place.keep_state(step.state)) if index > 0 else None
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
        # below 0 by rounding only, and that it is where no gradient was seen before
        return Step(theta, State(t - 1, (mean, square.clamp(min=0))), gradient)

    @property
    def pull_back(self) -> PullBack:
        return self._pull_back

    def _pull_back(
        self,
        optimizer: Optimizer,
        hypers: Mapping[str, Tensor],
        step: Step,
        theta_bar: Tensor,
        slots_bar: Sequence[Tensor],
    ) -> PulledBack:
        """Lines 2 and 4, with dθ in θ̄, and dm in the place of m̄; ḡ is what line 3 multiplies."""
        adam = _values(optimizer, step.state.step)
        _, (t, (mean, square)) = adam.update(step.gradient, step.state, step.theta)
        root, scale = square.sqrt(), (1 - adam.beta2**t) ** 0.5
        rate, epsilon = adam.learning_rate * scale / (1 - adam.beta1**t), adam.epsilon * scale
        beta = (1 - adam.beta2) / (1 - adam.beta1)
        # where no gradient was seen the root is 0, and so is m g
        through_v = torch.where(root > 0, beta * mean * step.gradient / (root * (root + epsilon) ** 2), 0.0)
        dm = slots_bar[0] + rate * (through_v - 1 / (root + epsilon)) * theta_bar
        return PulledBack(
            gradient=(1 - adam.beta1) * dm,
            theta=theta_bar,
            slots=[adam.beta1 * dm, torch.zeros_like(square)],
            hypers=[torch.zeros_like(value) for value in hypers.values()],
        )


def _values(optimizer: Optimizer, step: int) -> Adam:
    """Adam with the values that its hyper-parameters have at one step."""
    assert isinstance(optimizer, Adam)
    schedules = {name: value[step] for name, value in optimizer.hypers() if value.ndim == 1}
    return optimizer.with_hypers(schedules)
