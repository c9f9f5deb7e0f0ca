"""Everything that the engine uses of PyTorch without a promise that it stays: here, and nowhere else.

A new release of PyTorch may move or rename any of it. `tests/unroll/test_torch_private.py` then says what is
missing; what works again is added to `KNOWN`.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd.function import once_differentiable
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.node import map_arg as map_arg
from torch.fx.passes.tools_common import stable_topological_sort as stable_topological_sort
from torch.utils._python_dispatch import TorchDispatchMode as TorchDispatchMode
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_flatten as tree_flatten
from torch.utils._pytree import tree_leaves as tree_leaves
from torch.utils._pytree import tree_map as tree_map
from torch.utils._pytree import tree_unflatten as tree_unflatten
from torch.utils.flop_counter import flop_registry

KNOWN = ("2.11", "2.12", "2.13")
"""Releases of PyTorch with which all of this is known to work."""

_ONCE = once_differentiable(lambda ctx: None).__code__

RESHAPES = tuple(getattr(torch.ops.aten, name).default for name in ("view", "_unsafe_view", "reshape"))
"""Operations that give the same elements another shape."""


def outside_modes() -> AbstractContextManager[Any]:
    """A context in which operations are carried out even while a graph is traced."""
    return _disable_current_modes()


def trace_below_autograd(function: Any, examples: Any) -> GraphModule:
    """The graph of a function of tensors, on fake tensors; real ones that it reaches become attributes."""
    return make_fx(function, tracing_mode="fake", _allow_non_fake_inputs=True)(*examples)


def written_arguments(target: Any) -> list[str]:
    """The names of the arguments that an operation of the dispatcher changes in place."""
    arguments = target._schema.arguments if hasattr(target, "_schema") else ()
    return [part.name for part in arguments if part.alias_info is not None and part.alias_info.is_write]


def argument_values(target: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments of a call to an operation of the dispatcher, by name."""
    names = (argument.name for argument in target._schema.arguments)
    return dict(zip(names, args)) | kwargs


def flop_formula(target: Any) -> Any:
    """How PyTorch counts an operation's floating-point operations; None for elementwise work."""
    return flop_registry.get(getattr(target, "overloadpacket", None))


def once_differentiable_name(node: Any) -> str | None:
    """The name of a graph node's custom Function if its backward pass is marked `once_differentiable`."""
    function = getattr(node, "_forward_cls", None)
    if function is None or getattr(function.backward, "__code__", None) is not _ONCE:
        return None
    return function.__name__


def storage_key(storage: torch.UntypedStorage) -> int:
    """A number that no other live storage has."""
    return storage._cdata


def is_fake(value: Any) -> bool:
    """Whether a value is a tensor of a trace, without contents."""
    return isinstance(value, FakeTensor)


def version(tensor: Tensor) -> int | None:
    """How often a tensor was changed in place; None for an inference tensor, which does not count."""
    return None if tensor.is_inference() else tensor._version


def allocations(record: Any) -> Iterator[int]:
    """Bytes that the CPU's allocator gave (positive) or took back, in order, of a finished profile."""
    events = [event for event in record.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return (event.nbytes() for event in events)
