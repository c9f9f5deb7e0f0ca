"""Loops over time as operations of PyTorch's dispatcher: a traced graph holds each as one node."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.library import Library, register_fake
from torch.utils.flop_counter import register_flop_formula

_library = Library("farzi", "FRAGMENT")


def define(
    schema: str, function: Callable[..., Any], like: Callable[..., Any], flops: Callable[..., int]
) -> Any:
    """An operation `torch.ops.farzi.NAME`.

    Args:
        schema: its name and signature.
        function: what it does, on any device.
        like: makes empty outputs of the right shapes; what a trace sees.
        flops: its floating-point operations, from the shapes of its tensors.
    """
    name = _library.define(schema, tags=[torch.Tag.pt2_compliant_tag])
    _library.impl(name, function, "CompositeExplicitAutograd")
    register_fake(f"farzi::{name}", like, lib=_library)
    packet = getattr(torch.ops.farzi, name)
    register_flop_formula(packet)(flops)
    return packet.default


def one_by_one(function: Any, info: Any, in_dims: Any, inputs: tuple[Tensor, ...]) -> Any:
    """The batching rule of a `torch.autograd.Function`: one member after the other."""
    members = [
        function.apply(
            *(
                value if dim is None else value.select(dim, member)
                for value, dim in zip(inputs, in_dims, strict=True)
            )
        )
        for member in range(info.batch_size)
    ]
    if isinstance(members[0], Tensor):
        return torch.stack(members), 0
    outputs = tuple(torch.stack(parts) for parts in zip(*members, strict=True))
    return outputs, (0,) * len(outputs)


def before(states: Tensor) -> Tensor:
    """The state that each step began with: those given, one step later, zeros first; time goes first."""
    return torch.cat([torch.zeros_like(states[:1]), states[:-1]])


def after(states: Tensor) -> Tensor:
    """Those given, one step earlier, zeros last."""
    return torch.cat([states[1:], torch.zeros_like(states[:1])])


def sum_over_time(left: Tensor, right: Tensor) -> Tensor:
    """Σ over time and batch of leftᵀ right, (m, n), for (L, B, m) and (L, B, n)."""
    return left.flatten(0, 1).T @ right.flatten(0, 1)
