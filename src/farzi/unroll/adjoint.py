r"""The exact reverse pass through training, one step at a time.

Let a step be θ', s' = U(g, s, θ; η) with g = ∇θ L(θ, X), where s is the optimizer's state, X the data and η
the hyper-parameters. Given the cotangents (θ̄', s̄') of what comes after the step, those of what comes before
are

1. (ḡ, s̄, θ̄, η̄) = vjp of U at (g, s, θ, η), applied to (θ̄', s̄'): any optimizer that is a pure function
   gets it for free (`farzi.unroll.update`);
2. θ̄ += (∂²L/∂θ²) ḡ and X̄ += (∂²L/∂X∂θ) ḡ (`farzi.unroll.execution`).

Nothing is approximated: the second-moment path of Adam is in step 1. Only the memory strategy `Invert` puts
something else in the place of step 1.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from farzi.unroll.execution import Execution, StepLoss
from farzi.unroll.gathering import Gathering
from farzi.unroll.optimizers import Optimizer
from farzi.unroll.update import PullBack, Step


class Cotangents(NamedTuple):
    """The outer loss's derivatives with respect to all that goes into a step.

    Attributes:
        theta: θ̄, (P,).
        slots: s̄, each (P,).
        hypers: η̄, one for each hyper-parameter that is a tensor, of its shape.
        data: X̄, one for each leaf of the data, added to in place; None where none is wanted.
    """

    theta: Tensor
    slots: list[Tensor]
    hypers: list[Tensor]
    data: list[Gathering | None]


def reverse_step(
    loss: StepLoss,
    optimizer: Optimizer,
    hypers: Mapping[str, Tensor],
    data: Sequence[Tensor],
    step: Step,
    after: Cotangents,
    execution: Execution,
    pull_back: PullBack | None = None,
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
        execution: how the loss's derivatives are carried out.
        pull_back: what takes the place of the update's exact vector-Jacobian product, if anything does.
    """
    pull_back = pull_back or execution.pull_back
    pulled = pull_back(optimizer, hypers, step, after.theta, after.slots)
    theta_part = execution.product(loss, step.theta, data, pulled.gradient, after.data, step.intermediates)
    return Cotangents(
        theta=pulled.theta + theta_part,
        slots=pulled.slots,
        hypers=[bar + part for bar, part in zip(after.hypers, pulled.hypers, strict=True)],
        data=after.data,
    )
