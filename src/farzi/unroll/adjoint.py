r"""The exact reverse pass through training, one step at a time.

Let a step be θ', s' = U(g, s, θ; η) with g = ∇θ L(θ, X), where s is the optimizer's state, X the data and η
the hyper-parameters. Given the cotangents (θ̄', s̄') of what comes after the step, those of what comes before
are

1. (ḡ, s̄, θ̄, η̄) = vjp of U at (g, s, θ, η), applied to (θ̄', s̄'): any optimizer that is a pure function
   gets it for free (`pull_back_update`);
2. θ̄ += (∂²L/∂θ²) ḡ and X̄ += (∂²L/∂X∂θ) ḡ (`farzi.unroll.curvature`).

Nothing is approximated: the second-moment path of Adam is in step 1, and no state is recovered by running an
optimizer backwards.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from farzi.unroll.curvature import Curvature, Loss
from farzi.unroll.memory import Step
from farzi.unroll.optimizers import Optimizer, State


class Cotangents(NamedTuple):
    """The outer loss's derivatives with respect to all that goes into a step.

    Attributes:
        theta: θ̄, (P,).
        slots: s̄, each (P,).
        hypers: η̄, one for each hyper-parameter that is a tensor, of its shape.
        data: X̄, one for each leaf of the data; None where none is wanted.
    """

    theta: Tensor
    slots: list[Tensor]
    hypers: list[Tensor]
    data: list[Tensor | None]


def reverse_step(
    loss: Loss,
    optimizer: Optimizer,
    hypers: Mapping[str, Tensor],
    data: Sequence[Tensor],
    step: Step,
    after: Cotangents,
    curvature: Curvature,
) -> Cotangents:
    """Cotangents before a step from those after it.

    Hyper-parameters and data gather the contributions of all steps; the data's, which can be large, in place.

    Args:
        loss: the loss of this step.
        optimizer: the optimizer.
        hypers: its hyper-parameters that are tensors, by name.
        data: leaves of the data.
        step: the record of the forward step.
        after: cotangents after the step.
        curvature: how second derivatives are made.
    """
    pulled = pull_back_update(optimizer, hypers, step, after.theta, after.slots)
    wanted = [bar is not None for bar in after.data]
    theta_part, data_parts = curvature.product(loss, step.theta, data, wanted, pulled.gradient)
    for bar, part in zip(after.data, data_parts, strict=True):
        if bar is not None and part is not None:
            bar.add_(part)
    return Cotangents(
        theta=pulled.theta + theta_part,
        slots=pulled.slots,
        hypers=[bar + part for bar, part in zip(after.hypers, pulled.hypers, strict=True)],
        data=after.data,
    )


class PulledBack(NamedTuple):
    """Cotangents of what goes into one optimizer update: as in `Cotangents`, and ḡ, (P,)."""

    gradient: Tensor
    theta: Tensor
    slots: list[Tensor]
    hypers: list[Tensor]


def pull_back_update(
    optimizer: Optimizer,
    hypers: Mapping[str, Tensor],
    step: Step,
    theta_bar: Tensor,
    slots_bar: Sequence[Tensor],
) -> PulledBack:
    """Pull the cotangents θ̄', (P,), and s̄' back through one optimizer update."""
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


def gradient(loss: Loss, theta: Tensor, data: Sequence[Tensor]) -> Tensor:
    """∇θ L, (P,), detached.

    Raises:
        TypeError: the loss gives something else than a tensor.
        ValueError: it gives a tensor that is not a scalar.
    """
    with torch.enable_grad():
        theta = theta.detach().requires_grad_()
        value = loss(theta, [leaf.detach() for leaf in data])
        if not isinstance(value, Tensor):
            raise TypeError(f"loss(theta, data, batch) must be a scalar tensor, got {type(value).__name__}")
        if value.ndim != 0:
            raise ValueError(f"loss(theta, data, batch) must be a scalar, got shape {tuple(value.shape)}")
        if not value.requires_grad:
            return torch.zeros_like(theta)  # a loss that ignores theta
        (result,) = torch.autograd.grad(value, theta, materialize_grads=True)
    return result
