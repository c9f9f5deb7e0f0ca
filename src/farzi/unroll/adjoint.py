r"""The exact reverse pass through training, one step at a time.

Let a step be θ', s' = U(g, s, θ; η) with g = ∇θ L(θ, X), where s is the optimizer's state, X the data and η the
hyper-parameters. Given the cotangents (θ̄', s̄') of what comes after the step, those of what comes before it are

1. (ḡ, s̄, θ̄, η̄) = vjp of U at (g, s, θ, η), applied to (θ̄', s̄'): elementwise, any pure optimizer gets it for free;
2. θ̄ += (∂²L/∂θ²) ḡ and X̄ += (∂²L/∂X∂θ) ḡ. By the symmetry of mixed partial derivatives both are the tangent of
   ∇(θ,X) L in the direction (ḡ, 0): one pass of forward mode over reverse mode gives them together.

Nothing is approximated: the second-moment path of Adam is in step 1, and no state is recovered by running an optimizer
backwards.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad

from farzi.unroll.memory import Step
from farzi.unroll.optimizers import Optimizer, State

Loss = Callable[[Tensor, Sequence[Tensor]], Tensor]
"""The loss of one step as a function of the flat parameters (P,) and the leaves of the data."""


def gradient(loss: Loss, theta: Tensor, data: Sequence[Tensor]) -> Tensor:
    """∇θ L, (P,), detached."""
    with torch.enable_grad():
        theta = theta.detach().requires_grad_()
        value = loss(theta, [leaf.detach() for leaf in data])
        if value.ndim != 0:
            raise ValueError(f"loss(theta, data, batch) must be a scalar, got shape {tuple(value.shape)}")
        if not value.requires_grad:
            return torch.zeros_like(theta)  # a loss that ignores theta
        (result,) = torch.autograd.grad(value, theta, materialize_grads=True)
    return result


def pull_back_update(
    optimizer: Optimizer, hypers: dict[str, Tensor], step: Step, theta_bar: Tensor, slots_bar: Sequence[Tensor]
) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
    """Pull the cotangents of (θ', s') back through one optimizer update.

    Returns:
        The cotangents of the gradient, of θ, of each slot, and of each hyper-parameter.
    """
    with torch.enable_grad():
        g = step.gradient.detach().requires_grad_()
        theta = step.theta.detach().requires_grad_()
        slots = [slot.detach().requires_grad_() for slot in step.state.slots]
        leaves = {name: value.detach().requires_grad_() for name, value in hypers.items()}
        theta_next, state_next = optimizer.with_hypers(leaves).update(g, State(step.state.step, tuple(slots)), theta)
        bars = torch.autograd.grad(
            [theta_next, *state_next.slots],
            [g, theta, *slots, *leaves.values()],
            [theta_bar, *slots_bar],
            materialize_grads=True,
        )
    return bars[0], bars[1], list(bars[2 : 2 + len(slots)]), list(bars[2 + len(slots) :])


def curvature_product(
    loss: Loss, theta: Tensor, data: Sequence[Tensor], wanted: Sequence[bool], direction: Tensor
) -> tuple[Tensor, list[Tensor | None]]:
    """(∂²L/∂θ²) u and (∂²L/∂X∂θ) u in one pass of forward mode over reverse mode.

    Args:
        loss: the loss of one step.
        theta: parameters, (P,).
        data: leaves of the data.
        wanted: for each leaf of the data, whether its product is needed.
        direction: u, (P,).

    Returns:
        The product with the parameters' block, (P,), and with each wanted leaf's, None for the others.
    """
    with torch.enable_grad(), forward_ad.dual_level():
        primal = theta.detach().requires_grad_()
        leaves = [leaf.detach().requires_grad_(want) for leaf, want in zip(data, wanted, strict=True)]
        value = loss(forward_ad.make_dual(primal, direction), leaves)
        inputs = [primal, *(leaf for leaf, want in zip(leaves, wanted, strict=True) if want)]
        if not value.requires_grad:
            tangents: list[Tensor | None] = [None] * len(inputs)
        else:
            grads = torch.autograd.grad(value, inputs, allow_unused=True)
            tangents = [None if grad is None else forward_ad.unpack_dual(grad).tangent for grad in grads]
    products = [torch.zeros_like(leaf) if t is None else t for t, leaf in zip(tangents, inputs, strict=True)]
    rest = iter(products[1:])
    return products[0], [next(rest) if want else None for want in wanted]
