r"""Second derivatives of a step's loss: strategies as values.

The reverse step needs (∂²L/∂θ²) u and (∂²L/∂X∂θ) u for one direction u, (P,). Two exact methods give both in
one pass:

- reverse over reverse: ∇(θ,X) ⟨∇θ L, u⟩, the double backward pass;
- forward over reverse: the tangent of ∇(θ,X) L in the direction (u, 0), by the symmetry of mixed partial
  derivatives (Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6, 1994).

In theory the second is cheaper: it holds no graph of the backward pass. In PyTorch's eager mode the first is:
forward mode records every tangent for a further derivative that is never taken, and runs twice the kernels.
`benchmarks/engine_step.py` measures both, eagerly and as graphs.
"""

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from farzi.unroll.torch_private import once_differentiable_name
from farzi.unroll.trees import Loss


class Products(NamedTuple):
    """The results of one pass."""

    slope: Tensor  # ∇θ L, (P,), a by-product
    theta: Tensor  # (∂²L/∂θ²) u, (P,)
    data: list[Tensor]  # (∂²L/∂X∂θ) u for each leaf of the data that is wanted


class Curvature(Protocol):
    """A strategy: how products with second derivatives of the loss are computed."""

    def product(
        self, loss: Loss, theta: Tensor, data: Sequence[Tensor], wanted: Sequence[bool], direction: Tensor
    ) -> Products:
        """All detached; `wanted` says for which leaves of the data, `direction` is u, (P,).

        Raises:
            NotImplementedError: an operation of the loss lacks a derivative that this strategy needs.
        """
        ...


@dataclass(frozen=True)
class ReverseOverReverse:
    """The gradient of ⟨∇θ L, u⟩: what autograd through the unrolled loop would do.

    Every operation of the loss needs a backward pass that can itself be differentiated. Nearly all PyTorch
    operations have one, and so do custom Functions written in PyTorch operations. The result is exact for
    whatever backward pass the loss has, a straight-through estimator included.
    """

    def product(
        self, loss: Loss, theta: Tensor, data: Sequence[Tensor], wanted: Sequence[bool], direction: Tensor
    ) -> Products:
        # attention by plain products: its fused kernels have no second derivative
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            primal, leaves, inputs = _inputs(theta, data, wanted)
            value = loss(primal, leaves)
            if not value.requires_grad:  # a loss that ignores theta
                return _products(None, [None] * len(inputs), inputs)
            _refuse_once_differentiable(value)
            (slope,) = torch.autograd.grad(value, primal, create_graph=True, materialize_grads=True)
            if not slope.requires_grad:  # a loss linear in theta
                return _products(slope, [None] * len(inputs), inputs)
            try:
                parts = torch.autograd.grad(slope, inputs, direction, allow_unused=True)
            except RuntimeError as error:
                if "not implemented" not in str(error):
                    raise
                raise NotImplementedError(
                    "an operation of the loss has no second derivative, which training needs to be "
                    f"differentiated: {_first_line(error)}"
                ) from error
        return _products(slope, parts, inputs)


@dataclass(frozen=True)
class ForwardOverReverse:
    """The tangent of the gradient: one pass of forward mode over reverse mode.

    Every operation of the loss, and of its backward pass, must support forward mode; a custom Function does
    where it defines `jvp`. The loss's backward pass must give its true gradient: a straight-through estimator
    has no symmetric second derivative.
    """

    def product(
        self, loss: Loss, theta: Tensor, data: Sequence[Tensor], wanted: Sequence[bool], direction: Tensor
    ) -> Products:
        _load_forward_mode()
        with torch.enable_grad(), forward_ad.dual_level(), sdpa_kernel(SDPBackend.MATH):
            primal, leaves, inputs = _inputs(theta, data, wanted)
            try:
                value = loss(forward_ad.make_dual(primal, direction), leaves)
                if not value.requires_grad:  # a loss that ignores theta
                    return _products(None, [None] * len(inputs), inputs)
                _refuse_once_differentiable(value)
                grads = torch.autograd.grad(value, inputs, allow_unused=True)
            except NotImplementedError as error:
                raise NotImplementedError(
                    "an operation of the loss lacks forward mode, which ReverseOverReverse() does without: "
                    f"{_first_line(error)}"
                ) from error
            duals = [None if grad is None else forward_ad.unpack_dual(grad) for grad in grads]
        slope = None if duals[0] is None else duals[0].primal
        parts = [None if dual is None else dual.tangent for dual in duals]
        return _products(slope, parts, inputs)


def _inputs(
    theta: Tensor, data: Sequence[Tensor], wanted: Sequence[bool]
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Fresh θ, fresh leaves of the data, and all of them that are differentiated."""
    primal = theta.detach().requires_grad_()
    leaves = [leaf.detach().requires_grad_(want) for leaf, want in zip(data, wanted, strict=True)]
    return primal, leaves, [primal, *(leaf for leaf, want in zip(leaves, wanted, strict=True) if want)]


def _products(slope: Tensor | None, parts: Sequence[Tensor | None], inputs: Sequence[Tensor]) -> Products:
    """The results, zero where ∇θ L does not depend on an input."""
    slope, theta, *data = [
        torch.zeros_like(leaf) if part is None else part.detach()
        for part, leaf in zip([slope, *parts], [inputs[0], *inputs], strict=True)
    ]
    return Products(slope, theta, data)


@functools.cache
def _load_forward_mode() -> None:
    """Use forward mode once: its first use imports modules that raise deprecation warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with forward_ad.dual_level():
            forward_ad.make_dual(torch.zeros(1), torch.zeros(1))


def _refuse_once_differentiable(value: Tensor) -> None:
    """Refuse a custom Function of which autograd would silently treat the gradient as a constant."""
    seen, todo = set(), [value.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        name = once_differentiable_name(node)
        if name is not None:
            raise NotImplementedError(
                f"{name} in the loss is marked once_differentiable, and training cannot be differentiated "
                "through an operation that has no second derivative"
            )
        todo.extend(following for following, _ in node.next_functions)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
