"""Several runs at once: one run of stacked parameters, whose loss is the sum of theirs.

The gradient of a sum of losses, each of its own parameters, is their gradients side by side, and every
optimizer here is elementwise: so several runs are one run of a larger problem, and all that holds for one
(exactness, memory strategies, compilation) holds for them. A student too small to fill the machine then costs
little more in sixteen copies than in one.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from farzi.unroll.execution import TreeLoss
from farzi.unroll.trees import Tree, tree_leaves, with_leaves


def stacked_loss(loss: TreeLoss) -> TreeLoss:
    """The sum of the losses of R runs: stacked(theta, data, batch), each leaf of theta (R, ...).

    Data and batch are shared. Make it once and keep it: a compiled run knows a loss by its function.

    Args:
        loss: the loss of one run, of operations that `torch.vmap` knows.
    """

    def stacked(theta: Any, data: Any, batch: Any) -> Tensor:
        return torch.vmap(lambda one: loss(one, data, batch), randomness="different")(theta).sum()

    return stacked


def stack(trees: Sequence[Tree]) -> Any:
    """R trees of one structure as one, each leaf (R, ...)."""
    leaves = [torch.stack(members) for members in zip(*map(tree_leaves, trees), strict=True)]
    return with_leaves(trees[0], leaves)


def unstack(tree: Tree) -> list[Any]:
    """The R trees that `stack` made one of, as views."""
    if isinstance(tree, Tensor):
        return list(tree)
    names, leaves = list(tree), [list(leaf) for leaf in tree.values()]
    return [dict(zip(names, parts, strict=True)) for parts in zip(*leaves, strict=True)]
