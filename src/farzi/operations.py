"""Operations of the project's own in PyTorch's dispatcher (`torch.ops.farzi`), and how `vmap` goes over them.

A traced graph holds such an operation as one node, so that what it does inside, chunk by chunk, is neither
recorded nor taken apart.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, library
from torch.utils.flop_counter import register_flop_formula

CHUNK = 2**18
"""Logits in memory at a time: 1 MiB in float32, which fits into the cache of a core."""

ROWS = 32
"""Least number of positions in a chunk: with fewer, each product reads the whole table for little work."""

_operations = library.Library("farzi", "DEF")


def operation(
    name: str, like: Callable[..., Any], flops: Callable[..., int]
) -> Callable[[Callable[..., Any]], Any]:
    """A decorator: the function becomes an operation of PyTorch's dispatcher, `torch.ops.farzi.NAME`.

    The function works on any device; its annotations are the operation's signature.

    Args:
        name: its name.
        like: makes empty outputs of the right shapes; what a trace sees.
        flops: its floating-point operations, from the shapes of its tensors.
    """

    def define(function: Callable[..., Any]) -> Any:
        schema = library.infer_schema(function, mutates_args=(), op_name=name)
        _operations.define(schema, tags=[torch.Tag.pt2_compliant_tag])
        _operations.impl(name, function, "CompositeExplicitAutograd")
        library.register_fake(f"farzi::{name}", like, lib=_operations)
        packet = getattr(torch.ops.farzi, name)
        register_flop_formula(packet)(flops)
        return packet.default

    return define


class OneByOne(torch.autograd.Function):
    """A Function whose work fills the machine as it is: `vmap` goes over its members one after the other."""

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing is saved unless a class overrides this."""

    @classmethod
    def vmap(cls, info: Any, in_dims: Any, *inputs: Any) -> Any:  # type: ignore[override]
        def member(index: int) -> Any:
            pairs = zip(inputs, in_dims, strict=True)
            return cls.apply(*(x if dim is None else x.select(dim, index) for x, dim in pairs))

        members = [member(index) for index in range(info.batch_size)]
        if isinstance(members[0], Tensor):
            return torch.stack(members), 0
        outputs = tuple(torch.stack(parts) for parts in zip(*members, strict=True))
        return outputs, (0,) * len(outputs)


def save(ctx: Any, *tensors: Tensor) -> None:
    """Save tensors for derivatives in both modes."""
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)


def or_zeros(tangents: Sequence[Tensor | None], like: Sequence[Tensor]) -> list[Tensor]:
    """Tangents or cotangents, zeros in the place of those that are not there."""
    return [torch.zeros_like(v) if t is None else t for t, v in zip(tangents, like, strict=True)]


def chunks(rows: int, columns: int, arrays: int = 1, least: int = ROWS) -> list[slice]:
    """Slices of rows: `arrays` arrays of a slice's logits have about `CHUNK` numbers at most."""
    size = max(least, CHUNK // (arrays * max(1, columns)))
    return [slice(start, start + size) for start in range(0, rows, size)]
