"""One update of an optimizer, and its vector-Jacobian product."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from farzi.unroll.optimizers import Hypers, Optimizer, State


class Step(NamedTuple):
    """The inputs of an update, which is all that the reverse step needs of the forward one."""

    theta: Tensor  # parameters before the step, (P,)
    state: State  # optimizer state before the step
    gradient: Tensor  # the loss's gradient at `theta`, (P,)
    intermediates: tuple[Tensor, ...] = ()  # tensors of the gradient's computation, if they were stored


class PulledBack(NamedTuple):
    """Cotangents of the inputs of an update."""

    gradient: Tensor  # ḡ, (P,)
    theta: Tensor  # θ̄, (P,)
    slots: list[Tensor]  # s̄, each (P,)
    hypers: list[Tensor]  # η̄, one for each hyper-parameter that is a tensor, of its shape


def pull_back_update(
    optimizer: Optimizer, hypers: Hypers, step: Step, theta_bar: Tensor, slots_bar: Sequence[Tensor]
) -> PulledBack:
    """Pull cotangents back through one update, exactly.

    Args:
        optimizer: the optimizer.
        hypers: its hyper-parameters that are tensors, by name.
        step: the inputs of the update.
        theta_bar: θ̄', the cotangent of the parameters after it, (P,).
        slots_bar: s̄', those of the slots after it, each (P,).
    """
    with torch.enable_grad():
        g = step.gradient.detach().requires_grad_()
        theta = step.theta.detach().requires_grad_()
        slots = [slot.detach().requires_grad_() for slot in step.state.slots]
        leaves = {name: value.detach().requires_grad_() for name, value in hypers.items()}
        state = State(step.state.step, tuple(slots))
        theta_next, state_next = optimizer.with_hypers(leaves).update(g, state, theta)
        outputs = zip([theta_next, *state_next.slots], [theta_bar, *slots_bar], strict=True)
        moving = [(output, bar) for output, bar in outputs if output.requires_grad]  # a slot may be constant
        bars = torch.autograd.grad(
            [output for output, _ in moving],
            [g, theta, *slots, *leaves.values()],
            [bar for _, bar in moving],
            materialize_grads=True,
        )
    count = len(slots)
    return PulledBack(bars[0], bars[1], list(bars[2 : 2 + count]), list(bars[2 + count :]))
