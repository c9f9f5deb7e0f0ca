"""One run repeated: in another precision, on moved data, with another optimizer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from farzi.unroll.adjoint import AdjointLike, Exact
from farzi.unroll.execution import Eager, Execution
from farzi.unroll.memory import OnHost, SquareRoot, Window
from farzi.unroll.optimizers import Optimizer, State
from farzi.unroll.randomness import RandomState, replayed
from farzi.unroll.run import Batches, train, unroll
from farzi.unroll.torch_private import tree_map
from farzi.unroll.trees import Tree, TreeLoss, check_tree, tree_leaves, with_leaves

Outer = Callable[[Any], Tensor]
"""outer(θT) -> scalar."""
View = Callable[[Any], Any]
"""The loss's view of the data, computed once per run."""


@dataclass(frozen=True, eq=False)
class Rerun:
    """A run as a function of its data; arguments as for `check`."""

    loss: TreeLoss
    outer: Outer
    theta0: Tree
    data: Tree
    optimizer: Optimizer
    batches: Batches
    state: State | None
    view: View
    draws: RandomState  # at the start of every run

    @staticmethod
    def of(
        loss: TreeLoss,
        outer: Outer,
        theta0: Tree,
        data: Tree,
        optimizer: Optimizer,
        batches: Batches,
        state: State | None,
        view: View | None,
    ) -> "Rerun":
        """The run whose random draws continue from now.

        Raises:
            TypeError: theta0 or data is neither a tensor nor a dict of tensors.
            ValueError: the data has no floating leaf.
        """
        check_tree("theta0", theta0)
        check_tree("data", data)
        draws = RandomState.now(tree_leaves(theta0)[0].device)
        view = view or (lambda data: data)
        run = Rerun(loss, outer, theta0, data, optimizer, batches, state, view, draws)
        if not run.floating:
            raise ValueError("data has no floating leaf, so there is no metagradient to check")
        return run

    @property
    def floating(self) -> list[Tensor]:
        """The leaves of the data that can be differentiated."""
        return [leaf.detach() for leaf in tree_leaves(self.data) if leaf.is_floating_point()]

    def to(self, dtype: torch.dtype) -> Self:
        """The same numbers in another precision: parameters, data, state, hyper-parameters and batches."""

        def cast(value: Any) -> Any:
            floating = isinstance(value, Tensor) and value.is_floating_point()
            return value.detach().to(dtype) if floating else value

        def cast_tree(tree: Tree) -> Tree:
            return with_leaves(tree, [cast(leaf) for leaf in tree_leaves(tree)])

        state = self.state and State(self.state.step, tuple(cast(slot) for slot in self.state.slots))
        optimizer = self.optimizer.with_hypers({name: cast(value) for name, value in self.optimizer.hypers()})
        batches: Batches = tree_map(
            cast, self.batches if isinstance(self.batches, Tensor) else [*self.batches]
        )
        theta0, data = cast_tree(self.theta0), cast_tree(self.data)
        return replace(self, theta0=theta0, data=data, optimizer=optimizer, batches=batches, state=state)

    def later(self, steps: int, execution: Execution | None = None) -> Self:
        """The run from its step `steps` on; the steps before count as constant."""
        if steps == 0:
            return self
        with replayed(self.draws), torch.no_grad():
            end = train(
                self.loss,
                self.theta0,
                self.view(self.data),
                self.optimizer,
                self.batches[:steps],
                state=self.state,
                execution=execution,
            )
            draws = RandomState.now(self.draws.device)
        return replace(self, theta0=end.theta, state=end.state, batches=self.batches[steps:], draws=draws)

    def differentiated(self, adjoint: AdjointLike | None, execution: Execution | None) -> Self:
        """The run of the differentiated steps, from the state at which they begin."""
        return self.later(_constant_steps(adjoint, len(self.batches)), execution)

    def moved(self, shift: Sequence[Tensor]) -> Tree:
        """The data with its floating leaves moved."""
        parts = iter(shift)
        leaves = [
            leaf.detach() + next(parts) if leaf.is_floating_point() else leaf
            for leaf in tree_leaves(self.data)
        ]
        return with_leaves(self.data, leaves)

    def end(self, data: Tree) -> Any:
        """θT of the run on `data`, nothing differentiated."""
        with replayed(self.draws), torch.no_grad():
            return train(
                self.loss, self.theta0, self.view(data), self.optimizer, self.batches, state=self.state
            ).theta

    def value(self, data: Tree) -> float:
        """The outer loss after the run on `data`."""
        theta = self.end(data)
        with torch.no_grad():
            return float(self.outer(theta))

    def metagradient(
        self, adjoint: AdjointLike | None = None, execution: Execution | None = None
    ) -> tuple[float, list[Tensor]]:
        """The outer loss, and its derivatives with respect to the floating leaves of the data.

        Args:
            adjoint: `Exact(SquareRoot())` if left out: small enough in any precision.
            execution: `Eager()` if left out.
        """
        leaves = [leaf.detach().requires_grad_(leaf.is_floating_point()) for leaf in tree_leaves(self.data)]
        with replayed(self.draws), torch.enable_grad():
            end = unroll(
                self.loss,
                self.theta0,
                self.view(with_leaves(self.data, leaves)),
                self.optimizer,
                self.batches,
                SquareRoot() if adjoint is None else adjoint,
                state=self.state,
                execution=Eager() if execution is None else execution,
            )
            value = self.outer(end)
            wanted = [leaf for leaf in leaves if leaf.requires_grad]
            bars = torch.autograd.grad(value, wanted, allow_unused=True, materialize_grads=True)
        return float(value.detach()), list(bars)


def _constant_steps(adjoint: object, steps: int) -> int:
    """How many of a run's first steps are not differentiated."""
    match adjoint:
        case Window(last=last, memory=inner):
            begin = max(0, steps - last)
            return begin + _constant_steps(inner, steps - begin)
        case OnHost(memory=inner) | Exact(memory=inner):
            return _constant_steps(inner, steps)
        case _:
            return 0
