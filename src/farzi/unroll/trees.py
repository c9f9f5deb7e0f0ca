"""Dicts of tensors as flat vectors, and stacks of dicts.

The engine stores parameters, gradients and the optimizer's slots as flat vectors (P,). One optimizer step is
then a few elementwise kernels, whatever the number of parameter tensors.

Stacking runs several trainings as one: the gradient of a sum of losses, each with its own parameters, is the
gradients side by side, and an `elementwise` optimizer keeps them apart. A model too small to fill the machine
costs little more in sixteen copies than in one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Tree = Tensor | Mapping[str, Tensor]

TreeLoss = Callable[[Any, Any, Any], Tensor]
"""loss(theta, data, batch) -> scalar; theta and data have the structure that the caller gave them."""

Loss = Callable[[Tensor, Sequence[Tensor]], Tensor]
"""The loss of one step as a function of the flat parameters (P,) and the leaves of the data."""


@dataclass(frozen=True)
class Layout:
    """How a tensor or a dict of tensors lies in a flat vector."""

    names: tuple[str, ...] | None  # the keys in order, or None for a bare tensor
    shapes: tuple[torch.Size, ...]  # the shape of each leaf
    dtype: torch.dtype  # the common dtype

    @staticmethod
    def of(tree: Tree) -> "Layout":
        """The layout of `tree`, whose leaves must share one floating dtype and one device.

        Raises:
            TypeError: they do not, or `tree` is neither a tensor nor a dict of tensors.
            ValueError: there are none.
        """
        check_tree("theta0", tree)
        leaves = tree_leaves(tree)
        if not leaves:
            raise ValueError("theta0 holds no tensor")
        for leaf in leaves:
            if not leaf.is_floating_point():
                raise TypeError(f"theta0 must be floating point, got a leaf of {leaf.dtype}")
            if leaf.dtype != leaves[0].dtype or leaf.device != leaves[0].device:
                raise TypeError(
                    "the leaves of theta0 must share one dtype and device, got "
                    f"{leaves[0].dtype} on {leaves[0].device} and {leaf.dtype} on {leaf.device}"
                )
        return Layout(tree_names(tree), tuple(leaf.shape for leaf in leaves), leaves[0].dtype)

    def flatten(self, tree: Tree) -> Tensor:
        """All leaves one after the other, (P,); a copy."""
        return torch.cat([leaf.reshape(-1) for leaf in tree_leaves(tree)])

    def unflatten(self, vector: Tensor) -> Tree:
        """The tree of a vector (P,). Its leaves are views if the vector has the layout's dtype."""
        parts = vector.to(self.dtype).split([shape.numel() for shape in self.shapes])
        leaves = [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]
        return leaves[0] if self.names is None else dict(zip(self.names, leaves, strict=True))


@dataclass(frozen=True, eq=False)
class StepLoss:
    """The loss of one step, as a function of flat parameters and of the data's leaves."""

    loss: TreeLoss
    layout: Layout  # of theta
    data: Tree
    batch: Any
    seen: Callable[[Tensor], Any] | None = None  # told each value, detached
    again: Callable[[Tensor], Any] | None = None  # told the gradient (P,) where a reverse step recomputes it

    def __call__(self, theta: Tensor, leaves: Sequence[Tensor]) -> Tensor:
        """The loss at parameters (P,) and other leaves of the data."""
        value = self.loss(self.layout.unflatten(theta), with_leaves(self.data, list(leaves)), self.batch)
        if self.seen is not None and isinstance(value, Tensor):
            self.seen(value.detach())
        return value

    @property
    def leaves(self) -> list[Tensor]:
        """The data's leaves, detached."""
        return [leaf.detach() for leaf in tree_leaves(self.data)]

    @property
    def wanted(self) -> list[bool]:
        """For each leaf of the data, whether it gets a gradient."""
        return [leaf.requires_grad for leaf in tree_leaves(self.data)]


def gradient(loss: Loss, theta: Tensor, data: Sequence[Tensor]) -> Tensor:
    """∇θ L, (P,), detached; errors as for `Execution.gradient`."""
    with torch.enable_grad():
        theta = theta.detach().requires_grad_()
        value = loss(theta, [leaf.detach() for leaf in data])
        if not isinstance(value, Tensor):
            raise TypeError(f"loss(theta, data, batch) must be a scalar tensor, got {type(value).__name__}")
        if value.ndim != 0:
            raise ValueError(f"loss(theta, data, batch) must be a scalar, got shape {tuple(value.shape)}")
        if not value.requires_grad:
            raise RuntimeError(
                "the loss does not depend on theta by differentiable operations: it ignores theta, or is "
                "detached, made of .item() or NumPy, or computed under torch.no_grad()"
            )
        (result,) = _dense(torch.autograd.grad, value, theta, materialize_grads=True)
    return result


def _dense(grad: Callable[..., Sequence[Tensor]], *args: Any, **kwargs: Any) -> Sequence[Tensor]:
    """Gradients; an error that says what is wanted where they are sparse."""
    try:
        return grad(*args, **kwargs)
    except RuntimeError as error:
        if "sparse" not in str(error).lower():
            raise
        raise TypeError(
            "the loss gives sparse gradients, such as those of nn.Embedding(sparse=True); give dense "
            f"ones: {str(error).splitlines()[0].rstrip('.')}"
        ) from error


def check_tree(name: str, tree: object) -> None:
    """Raise a TypeError that names the argument unless `tree` is a tensor or a dict of tensors."""
    if isinstance(tree, Tensor):
        return
    if not isinstance(tree, Mapping):
        raise TypeError(f"{name} must be a tensor or a dict of tensors, got {type(tree).__name__}")
    for key, leaf in tree.items():
        if not isinstance(leaf, Tensor):
            raise TypeError(f"{name}[{key!r}] must be a tensor, got {type(leaf).__name__}")


def tree_leaves(tree: Tree) -> list[Tensor]:
    """The tensors of a tree in order."""
    return [tree] if isinstance(tree, Tensor) else list(tree.values())


def tree_names(tree: Tree) -> tuple[str, ...] | None:
    """The keys of a tree in order, or None for a bare tensor."""
    return None if isinstance(tree, Tensor) else tuple(tree)


def with_leaves(tree: Tree, leaves: list[Tensor]) -> Any:
    """A tree with the same keys and other leaves."""
    return leaves[0] if isinstance(tree, Tensor) else dict(zip(tree, leaves, strict=True))


def map_tree(function: Callable[[Tensor], Tensor], tree: Tree) -> Tree:
    """A tree with `function` applied to each leaf."""
    return with_leaves(tree, list(map(function, tree_leaves(tree))))


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """The size of the tensors' elements in bytes."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def stack(trees: Sequence[Tree]) -> Any:
    """R trees of one structure as one tree, each leaf (R, ...)."""
    return with_leaves(trees[0], list(map(torch.stack, zip(*map(tree_leaves, trees), strict=True))))


def unstack(tree: Tree) -> list[Any]:
    """The R trees of a stack, as views."""
    return [with_leaves(tree, list(parts)) for parts in zip(*tree_leaves(tree), strict=True)]


def stacked_loss(loss: TreeLoss) -> TreeLoss:
    """The sum of the losses of R runs: stacked(theta, data, batch), each leaf of theta (R, ...).

    Data and batch are shared. Create it once: a compiled run recognises a loss by its function object.

    Args:
        loss: the loss of one run, made of operations that `torch.vmap` supports.
    """

    def stacked(theta: Any, data: Any, batch: Any) -> Tensor:
        return torch.vmap(lambda one: loss(one, data, batch), randomness="different")(theta).sum()

    return stacked
