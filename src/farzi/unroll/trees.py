"""Dicts of tensors as one flat vector, and back.

The engine keeps parameters, their gradient and the optimizer's slots as flat vectors: an optimizer step is
then a handful of elementwise kernels however many parameters the model has.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor

Tree = Tensor | Mapping[str, Tensor]


@dataclass(frozen=True)
class Layout:
    """How a tensor or a dict of tensors lies in a flat vector.

    Attributes:
        names: the keys in order, or None where the tree is one bare tensor.
        shapes: the shape of each leaf.
        dtype: the dtype of all of them.
    """

    names: tuple[str, ...] | None
    shapes: tuple[torch.Size, ...]
    dtype: torch.dtype

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
        """All leaves behind one another, (P,); a copy."""
        return torch.cat([leaf.reshape(-1) for leaf in tree_leaves(tree)])

    def unflatten(self, vector: Tensor) -> Tree:
        """The leaves of a vector (P,), which may be of another dtype; views of it where it is of theirs."""
        parts = vector.to(self.dtype).split([shape.numel() for shape in self.shapes])
        return self.rebuild([part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)])

    def rebuild(self, leaves: list[Tensor]) -> Tree:
        """The tree that holds `leaves`."""
        if self.names is None:
            return leaves[0]
        return dict(zip(self.names, leaves, strict=True))


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
    """The keys of a tree in order, or None where it is one bare tensor."""
    return None if isinstance(tree, Tensor) else tuple(tree)


@overload
def with_leaves(tree: Tensor, leaves: list[Tensor]) -> Tensor: ...
@overload
def with_leaves(tree: Tree, leaves: list[Tensor]) -> Tree: ...
def with_leaves(tree: Tree, leaves: list[Tensor]) -> Tree:
    """A tree of the same keys that holds `leaves` instead."""
    return leaves[0] if isinstance(tree, Tensor) else dict(zip(tree, leaves, strict=True))


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """What the numbers of tensors take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
