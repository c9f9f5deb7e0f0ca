"""One run repeated: in another precision, on moved data, with another optimizer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from farzi.unroll.adjoint import AdjointLike
from farzi.unroll.execution import Eager, Execution
from farzi.unroll.memory import SquareRoot
from farzi.unroll.optimizers import Optimizer, State
from farzi.unroll.repeats import RandomState, replayed
from farzi.unroll.run import Batches, Trained, train, unroll
from farzi.unroll.torch_private import tree_map
from farzi.unroll.trees import Tree, TreeLoss, check_tree, map_tree, tree_leaves


@dataclass(frozen=True, eq=False)
class Rerun:
    """A run as a function of its data; arguments as for `check`.

    Raises:
        TypeError: theta0 or data is neither a tensor nor a dict of tensors.
        ValueError: the data has no floating leaf.
    """

    loss: TreeLoss
    outer: Callable[[Any], Tensor]
    theta0: Tree
    data: Tree
    optimizer: Optimizer
    batches: Batches
    state: State | None = None
    view: Callable[[Any], Any] | None = None
    draws: RandomState | None = None  # at the start of every run; those of now if left out

    def __post_init__(self) -> None:
        check_tree("theta0", self.theta0)
        check_tree("data", self.data)
        if not self.floating:
            raise ValueError("data has no floating leaf, so there is no metagradient to check")
        if self.draws is None:
            object.__setattr__(self, "draws", RandomState.now(self.device))

    @property
    def device(self) -> torch.device:
        """The run's device."""
        return tree_leaves(self.theta0)[0].device

    @property
    def floating(self) -> list[Tensor]:
        """The leaves of the data that can be differentiated."""
        return [leaf.detach() for leaf in tree_leaves(self.data) if leaf.is_floating_point()]

    def to(self, dtype: torch.dtype) -> Self:
        """The same numbers in another precision: parameters, data, state, hyper-parameters and batches."""

        def cast(value: Any) -> Any:
            floating = isinstance(value, Tensor) and value.is_floating_point()
            return value.detach().to(dtype) if floating else value

        return replace(
            self,
            theta0=map_tree(cast, self.theta0),
            data=map_tree(cast, self.data),
            optimizer=self.optimizer.map(cast),
            batches=tree_map(cast, self.batches if isinstance(self.batches, Tensor) else [*self.batches]),
            state=self.state and self.state.map(cast),
        )

    def later(self, steps: int, execution: Execution | None = None) -> Self:
        """The run from its step `steps` on; the steps before count as constant."""
        if steps == 0:
            return self
        with replayed(self.draws):
            end = self._train(self.data, self.batches[:steps], execution)
            draws = RandomState.now(self.device)
        return replace(self, theta0=end.theta, state=end.state, batches=self.batches[steps:], draws=draws)

    def moved(self, shift: Sequence[Tensor]) -> Tree:
        """The data with its floating leaves moved."""
        parts = iter(shift)
        return map_tree(
            lambda leaf: leaf.detach() + next(parts) if leaf.is_floating_point() else leaf, self.data
        )

    def end(self, data: Tree) -> Any:
        """θT of the run on `data`, nothing differentiated."""
        with replayed(self.draws):
            return self._train(data, self.batches).theta

    def metagradient(
        self, adjoint: AdjointLike | None = None, execution: Execution | None = None
    ) -> tuple[float, list[Tensor]]:
        """The outer loss, and its derivatives with respect to the floating leaves of the data.

        Args:
            adjoint: `Exact(SquareRoot())` if left out: small enough in any precision.
            execution: `Eager()` if left out.
        """
        data = map_tree(lambda leaf: leaf.detach().requires_grad_(leaf.is_floating_point()), self.data)
        with replayed(self.draws), torch.enable_grad():
            end = unroll(
                self.loss,
                self.theta0,
                self._seen(data),
                self.optimizer,
                self.batches,
                SquareRoot() if adjoint is None else adjoint,
                state=self.state,
                execution=execution or Eager(),
            )
            value = self.outer(end)
            wanted = [leaf for leaf in tree_leaves(data) if leaf.requires_grad]
            bars = torch.autograd.grad(value, wanted, allow_unused=True, materialize_grads=True)
        return float(value.detach()), list(bars)

    @torch.no_grad()
    def _train(self, data: Tree, batches: Batches, execution: Execution | None = None) -> Trained:
        data = self._seen(data)
        return train(
            self.loss, self.theta0, data, self.optimizer, batches, state=self.state, execution=execution
        )

    def _seen(self, data: Tree) -> Any:
        return data if self.view is None else self.view(data)
