r"""The reverse pass through training, one step at a time.

Let a step be θ', s' = U(g, s, θ; η) with g = ∇θ L(θ, X), where s is the optimizer's state, X the data and η
the hyper-parameters. Given the cotangents (θ̄', s̄') of the step's results, those of its inputs are

1. (ḡ, s̄, θ̄, η̄) = vjp of U at (g, s, θ, η), applied to (θ̄', s̄'). Any optimizer that is a pure function
   gets it from autograd (`farzi.unroll.optimizers.pull_back_update`);
2. θ̄ += (∂²L/∂θ²) ḡ and X̄ += (∂²L/∂X∂θ) ḡ (`farzi.unroll.execution`).

Nothing is approximated: the path through Adam's second moment is in step 1. What may vary is a value, an
`Adjoint`: `Exact` is all of the above, `farzi.unroll.algorithm1` replaces step 1 by the paper's.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from farzi.unroll.execution import Execution, Gathering
from farzi.unroll.memory import Budget, Memory, Store
from farzi.unroll.optimizers import Optimizer, PulledBack, Step
from farzi.unroll.trees import StepLoss


class Cotangents(NamedTuple):
    """The outer loss's derivatives with respect to the inputs of a step."""

    theta: Tensor  # θ̄, (P,)
    slots: list[Tensor]  # s̄, each (P,)
    hypers: list[Tensor]  # η̄, one for each hyper-parameter that is a tensor, of its shape
    # X̄, one for each leaf of the data, summed in place; None for a leaf without a gradient
    data: list[Gathering | None]


class Adjoint(ABC):
    """How training is differentiated: how its steps are recovered, in which dtype, and step 1 above."""

    @abstractmethod
    def strategy(self) -> Memory | Budget:
        """How the steps of the forward run are stored or recovered for the reverse pass."""

    def check(self, optimizer: Optimizer) -> None:  # noqa: B027 (most adjoints support every optimizer)
        """Raise a TypeError or ValueError if it does not support an optimizer."""

    def precision(self, dtype: torch.dtype) -> torch.dtype:
        """The dtype of the parameters and the state during the run; `dtype` is that of theta0."""
        return dtype

    def pull_back(
        self, execution: Execution, optimizer: Optimizer, step: Step, after: Sequence[Tensor]
    ) -> PulledBack:
        """Step 1: cotangents of an update's inputs; arguments as for `pull_back_update`."""
        return execution.pull_back(optimizer, step, after)

    def reverse(
        self, execution: Execution, optimizer: Optimizer, loss: StepLoss, step: Step, after: Cotangents
    ) -> Cotangents:
        """Cotangents before a step from those after it; the data's are summed in place."""
        pulled = self.pull_back(execution, optimizer, step, [after.theta, *after.slots])
        theta_part = execution.product(loss, step, pulled.gradient, after.data)
        return Cotangents(
            theta=pulled.theta + theta_part,
            slots=pulled.slots,
            hypers=[bar + part for bar, part in zip(after.hypers, pulled.hypers, strict=True)],
            data=after.data,
        )


@dataclass(frozen=True)
class Exact(Adjoint):
    """The exact gradient, to rounding: what autograd through the unrolled loop would give.

    Attributes:
        memory: a memory strategy, or a number of bytes such as "2GiB" (`Budget`).
    """

    memory: Memory | Budget | str = field(default_factory=Store)

    def __post_init__(self) -> None:
        if isinstance(self.memory, str):
            object.__setattr__(self, "memory", Budget(self.memory))
        elif not isinstance(self.memory, Memory | Budget):
            raise TypeError(
                'memory must be a strategy such as Store(), or bytes with a unit such as "2GiB", got '
                f"{self.memory!r}"
            )

    def strategy(self) -> Memory | Budget:
        assert not isinstance(self.memory, str)
        return self.memory


AdjointLike = Adjoint | Memory | Budget | str
"""An adjoint, or the memory strategy of the exact one."""


def one_of(memory: AdjointLike | None, adjoint: Adjoint | None) -> AdjointLike | None:
    """The one of two arguments that is given.

    Raises:
        ValueError: both are.
    """
    if memory is not None and adjoint is not None:
        raise ValueError("give memory or adjoint, not both: memory=... is short for adjoint=Exact(...)")
    return memory if adjoint is None else adjoint


def chosen(given: AdjointLike | None) -> tuple[Adjoint, Memory | Budget]:
    """The adjoint that a caller means, and its memory strategy; `Exact()` for None.

    A memory strategy around an adjoint that is one itself, such as `Window(10, Algorithm1())`, goes with that
    adjoint.
    """
    if given is None:
        given = Exact()
    adjoint = given if isinstance(given, Adjoint) else _inside(given) or Exact(given)
    return adjoint, given if isinstance(given, Memory) else adjoint.strategy()


def _inside(memory: object) -> Adjoint | None:
    for part in getattr(memory, "__dict__", {}).values() if isinstance(memory, Memory) else ():
        adjoint = part if isinstance(part, Adjoint) else _inside(part)
        if adjoint is not None:
            return adjoint
    return None
